"""ONNX Runtime as the exporters use it: on the processor, with a stated number of threads."""

import re

import numpy as np
import onnx
import onnxruntime

from study_common.errors import UserError

FIRST_RELEASE = {13: (1, 20), 21: (1, 20), 25: (1, 24)}
"""The first release of ONNX Runtime that was seen to read a file of an operator set with the right values."""
CHUNK = 64


def session(model: bytes, *, threads: int = 1, optimised: bool = True) -> onnxruntime.InferenceSession:
    """Load a model.

    Args:
        model: The content of a .onnx file.
        threads: How many threads compute one image.
        optimised: Whether the runtime may rewrite the graph, as it does by default.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def logits(loaded: onnxruntime.InferenceSession, images: np.ndarray) -> np.ndarray:
    """Return float32 (n, classes) for images (n, C, H, W), few at a time."""
    given = loaded.get_inputs()[0]
    count = given.shape[0] if isinstance(given.shape[0], int) else CHUNK
    chunks = (images[start : start + count] for start in range(0, len(images), count))
    return np.concatenate([loaded.run(None, {given.name: chunk})[0] for chunk in chunks])


def require(model: onnx.ModelProto, file: str) -> None:
    """Raise UserError if the installed runtime is too old for a model that is to become `file`."""
    opset = next(known.version for known in model.opset_import if not known.domain)
    needed, here = FIRST_RELEASE[opset], _release(onnxruntime.__version__)
    if here < needed:
        raise UserError(
            f"{file} needs ONNX Runtime {needed[0]}.{needed[1]} or later, and this is {onnxruntime.__version__}; "
            "update onnxruntime, or leave this --format out"
        )


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
