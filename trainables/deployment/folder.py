"""A checkpoint as a folder that can be shipped: every format asked for, checked against the model, and the card."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from search_spaces import Target
from study_common import layout
from study_common.errors import UserError
from study_common.files import replacing
from trainables.deployment import card, packed
from trainables.deployment.formats import FILES
from trainables.deployment.integers import grid_of
from trainables.models.catalogue import quantisable
from trainables.training.config import Config
from trainables.training.evaluation import choose
from trainables.training.inputs import data_of
from trainables.training.network import costs, load_checkpoint

IMAGES = 256
"""So many validation images are compared after each export."""


@dataclass(kw_only=True)
class Exported:
    """What an export has written."""

    metrics: dict[str, float]
    """The recorded metrics, and `<file>_bytes` for each file."""
    files: list[Path] = field(default_factory=list)
    float_layers: dict[str, str] = field(default_factory=dict)
    """Layers that ONNX Runtime computes in float, each with the reason."""
    parity: dict[str, Any] = field(default_factory=dict)
    """By file: the worst of what `parity.compare` found."""


def export(
    checkpoint: Path, out: Path, formats: Sequence[str], *, data_dir: str = "", target: Target | None = None
) -> Exported:
    """Write a checkpoint in some formats into a folder.

    Args:
        checkpoint: A finished run's checkpoint.
        out: The folder, new or empty.
        formats: Keys of `formats.FILES`.
        data_dir: Where the images are now; "" for where the run had them. Without them the graphs are compared with the
            model on made-up images.
        target: The device that must take the model; None: any.

    Raises:
        UserError: A file cannot be used, a format or the target cannot take the model, or a graph disagrees with the
            model.
    """
    model, config, about = load_checkpoint(checkpoint, data_dir)
    if target:
        check_target(target, model, config)
    if out.exists() and (others := sorted(path.name for path in out.iterdir())):
        raise UserError(f"{out} holds other files ({', '.join(others[:3])}); choose another --out")
    made = Exported(metrics=dict(about["metrics"]))
    contents: dict[str, bytes] = {}
    graphs = [name for name in FILES if name in formats and name != "packed"]
    if graphs:
        contents |= _graphs(graphs, model, config, about, made)
    out.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        with replacing(out / file) as part:
            part.write_bytes(content)
        made.files.append(out / file)
    if "packed" in formats:
        made.files.append(out / layout.PACKED_FILE)
        made.metrics["header_bytes"] = _packed(out / layout.PACKED_FILE, model, config, about)
    sizes = {path.name: path.stat().st_size for path in made.files}
    about_export = {"float_layers": made.float_layers, "parity": made.parity}
    for file, content in card.files(checkpoint, config, about, sizes, about_export).items():
        (out / file).write_bytes(content)
        made.files.append(out / file)
    made.metrics |= {f"{name}_bytes": size for name, size in sizes.items()}
    return made


def check_target(target: Target, model: nn.Module, config: Config) -> None:
    """Raise UserError, naming the layer, if a device does not take a trained model of this configuration."""
    target.check(config.flat())
    for name, layer in quantisable(model).items():
        grid = grid_of(layer)
        if grid and grid.zero and not target.zero_points:
            raise UserError(
                f"target {target.name} takes no zero-point, and the input of {name} has one because it can be "
                "negative; train a model with ReLU, such as resnet18"
            )


def _packed(path: Path, model: nn.Module, config: Config, about: dict[str, Any]) -> int:
    """Write the packed file, and read it back to see that it holds the same weights; the bytes of its header."""
    body = packed.write(path, model, config, about)
    assert body == costs(config, about["signature"])["size_bytes"], (
        "the packed file is as large as the cost says"
    )
    for name, tensor in packed.read(path).tensors.items():
        module, _, kind = name.rpartition(".")
        assert tensor.equal(getattr(model.get_submodule(module), kind)), f"{name} comes back as it was"
    return path.stat().st_size - body


def _graphs(
    names: Sequence[str], model: nn.Module, config: Config, about: dict[str, Any], made: Exported
) -> dict[str, bytes]:
    """The content of each graph's file, compared with the model."""
    from trainables.deployment import parity, qdq, qonnx_graph, runtime
    from trainables.deployment.operations import layers
    from trainables.deployment.structure import operations

    network = operations(model, about["signature"])
    if "lowbit" in names and not any(layer.codes for layer in layers(network)):
        raise UserError(
            "the model has float weights only, which no low-bit file can hold; leave --format lowbit out"
        )
    images = _images(config, about)
    expected = logits(model, images, about)
    mean, std, metadata = tuple(about["mean"]), tuple(about["std"]), _metadata(config, about)
    writers: dict[str, Callable[[], Any]] = {
        "onnx": lambda: qdq.write(network, mean=mean, std=std, low_bit=False, metadata=metadata),
        "lowbit": lambda: qdq.write(network, mean=mean, std=std, low_bit=True, metadata=metadata),
        "qonnx": lambda: qonnx_graph.write(network, mean=mean, std=std, metadata=metadata),
    }

    @cache
    def rounding() -> parity.Parity:
        return parity.compare(expected, logits(copy.deepcopy(model).double(), images, about))

    contents = {}
    for name in names:
        written, file = writers[name](), FILES[name]
        if isinstance(written, qdq.Written):
            made.float_layers, graph = written.float_layers, written.model
            runnable, inputs = graph, images
        else:
            graph, runnable, inputs = written, qonnx_graph.plain(written), images.astype(np.float32)
        runtime.require(runnable, file)
        for optimised in (False, True):
            session = runtime.session(runnable.SerializeToString(), optimised=optimised)
            found = parity.compare(expected, runtime.logits(session, inputs))
            parity.require(found, file, "optimised" if optimised else "without optimisation", rounding)
            worst = made.parity.get(file)
            if worst is None or found.same_class < worst["same_class"]:
                made.parity[file] = asdict(found)
        contents[file] = graph.SerializeToString()
    return contents


@torch.no_grad()
def logits(model: nn.Module, images: np.ndarray, about: Mapping[str, Any]) -> np.ndarray:
    """Return what a model of a checkpoint answers, (n, classes) in the precision of its weights.

    Args:
        model: The model, in evaluation mode.
        images: uint8 (n, channels, size, size).
        about: What the checkpoint says of its images.
    """
    dtype = next(model.parameters()).dtype
    mean, std = (torch.tensor(about[name], dtype=dtype).view(1, -1, 1, 1) for name in ("mean", "std"))
    parts = [model((chunk.to(dtype) / 255 - mean) / std) for chunk in torch.from_numpy(images).split(64)]
    return torch.cat(parts).numpy()


def _images(config: Config, about: dict[str, Any]) -> np.ndarray:
    """Validation images, or smooth random ones where the data set is not at hand; uint8 (n, C, H, W)."""
    try:
        data = data_of(config)
        if data.fingerprint == about["fingerprint"]:
            return choose(data.validation, IMAGES).images.numpy()
    except UserError:
        pass
    channels, size, _ = about["signature"]
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((IMAGES, channels, 5, 5), generator=generator)
    smooth: Tensor = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return (255 * smooth).byte().numpy()


def _metadata(config: Config, about: dict[str, Any]) -> dict[str, str]:
    """What a graph says of where it comes from, all JSON."""
    kept = {name: about[name] for name in ("class_names", "fingerprint", "metrics")}
    return {name: json.dumps(value) for name, value in {**kept, "config": config.shareable()}.items()}
