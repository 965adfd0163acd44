"""The passes of a training step: one at the widths of an ordinary run; three for a shared model of all widths.

A shared model has one float weight for all widths of a layer, and for each width its own step and its own alpha. Its
step sums the gradients of three configurations: all widths at their greatest, all at their smallest, and a random one
(the sandwich rule; Yu and Huang, "Universally Slimmable Networks and Improved Training Techniques", ICCV 2019).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from study_common.errors import UserError
from trainables.models.catalogue import norms
from trainables.quantisation.any_width import AnyWidth, Widths, is_of_quantiser, own_tensors
from trainables.quantisation.quantisers import quantise
from trainables.training.config import Config

ANY_WIDTH = "any_width."
"""Names of the tensors of a shared model that an ordinary one does not have begin with it."""


class Sandwich:
    """The widths of a network, and those of the passes of each step.

    Args:
        model: A float model, which is quantised in place at the widths of `config`.
        config: The run; one without `widths` has a single pass, at its own.
        images: Channels and size of the images, and the number of classes.
    """

    def __init__(self, model: nn.Module, config: Config, images: tuple[int, int, int]) -> None:
        self.model = model
        self.config = config
        self.any_width: AnyWidth | None = None
        made: dict[str, Any] = {
            "weight_quantiser": config.weight_quantiser,
            "alpha": config.alpha_init,
            "norms": norms(config.model, *images),
        }
        if config.widths:
            w_widths, a_widths = widths_of_layers(config)
            self.any_width = AnyWidth(model, w_widths=w_widths, a_widths=a_widths, **made)
            self.select(config)
        else:
            quantise(model, w_bits=config.w_bits, a_bits=config.a_bits, **made)

    def select(self, config: Config) -> None:
        """Give the network the quantisers of a configuration's widths."""
        if self.any_width is not None:
            self.any_width.select(self.model, config.w_bits, config.a_bits)

    def each(self) -> Iterator[None]:
        """Select every quantiser once at least: the greatest widths, the next ones, and so on; last the greatest."""
        widths = self.config.widths
        for rank in range(2, max(map(len, widths.values()), default=0) + 1):
            self.select(self.config.at({name: w[-min(rank, len(w))] for name, w in widths.items()}))
            yield
        self.select(self.config)
        yield

    def passes(self) -> Iterator[None]:
        """Select the widths of each pass of a step; the random ones come from torch's global generator."""
        self.select(self.config)
        yield
        if widths := self.config.widths:
            for drawn in (smallest(widths), random(widths)):
                self.select(self.config.at(drawn))
                yield

    def parameters(self) -> nn.Module:
        """Return a module of all that is trained."""
        if self.any_width is None:
            return self.model
        return nn.ModuleDict({"model": self.model, "any_width": self.any_width})

    def state(self) -> dict[str, Tensor]:
        """Return the tensors of the network; of a shared model those of all its quantisers, each once."""
        if self.any_width is None:
            return self.model.state_dict()
        of_all = {f"{ANY_WIDTH}{name}": tensor for name, tensor in self.any_width.state_dict().items()}
        return of_all | {n: tensor for n, tensor in self.model.state_dict().items() if not is_of_quantiser(n)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Set the tensors from a `state`."""
        if self.any_width is not None:
            self.any_width.load_state_dict(
                {name.removeprefix(ANY_WIDTH): t for name, t in state.items() if name.startswith(ANY_WIDTH)}
            )
            own = {n: tensor for n, tensor in self.model.state_dict().items() if is_of_quantiser(n)}
            state = own | {n: tensor for n, tensor in state.items() if not n.startswith(ANY_WIDTH)}
        self.model.load_state_dict(state)


def smallest(widths: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return the smallest width of each name.

    >>> smallest({"bits.conv1": (2, 4), "bits.fc": (4, 8)})
    {'bits.conv1': 2, 'bits.fc': 4}
    """
    return {name: values[0] for name, values in widths.items()}


def random(widths: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Draw a width for each name from torch's global generator, all equally likely."""
    return {name: values[int(torch.randint(len(values), ()))] for name, values in widths.items()}


def widths_of_layers(config: Config) -> tuple[Widths, Widths]:
    """Return the widths of each layer's weight and of each layer's input in a shared model.

    >>> widths_of_layers(Config.parse({"bits": 8, "widths.bits.conv2": "2,8"}))[1]
    {'conv2': [2, 8], 'fc1': [8], 'fc2': [8]}
    """
    settings = [config]
    for name, values in config.widths.items():
        settings += [config.at({**{n: v[-1] for n, v in config.widths.items()}, name: w}) for w in values]
    found: list[Widths] = []
    for kind in ("w_bits", "a_bits"):
        found.append({n: sorted({getattr(s, kind)[n] for s in settings}) for n in getattr(config, kind)})
    return found[0], found[1]


def load_shared(model: nn.Module, tensors: Mapping[str, Tensor], config: Config, path: object) -> None:
    """Copy weights and quantisers of a shared model into the network of one configuration.

    Args:
        model: The network with the quantisers of `config`, which is changed in place.
        tensors: The tensors of the shared model's checkpoint.
        config: The configuration, at widths of the shared model.
        path: Where they come from, for the message.

    Raises:
        UserError: The shared model is another one, or was not trained at one of these widths.
    """
    own = model.state_dict()
    try:
        found = own_tensors(tensors, [n for n in own if n != "epsilon"], config.w_bits, config.a_bits)
        fits = all(found[name].shape == own[name].shape for name in found)
    except KeyError as error:
        raise UserError(
            f"{path} has no {error}; give a shared model of this model whose widths have those of this run"
        ) from None
    if not fits:
        raise UserError(f"{path} is of another model or other images; give a shared model of these")
    for name, tensor in found.items():
        if name.endswith("_extra_state"):
            pact = model.get_submodule(name.rpartition(".")[0])
            pact.set_extra_state(tensor)
        else:
            own[name].copy_(tensor)
