"""How often a pass calls each layer: a quantised input and a count of costs belong to exactly one call."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from study_common.errors import UserError


@contextmanager
def each_called_once(layers: Mapping[str, nn.Module]) -> Iterator[None]:
    """Check the one pass inside the context.

    Args:
        layers: The layers of a model, by name.

    Raises:
        UserError: The pass has called a layer never (its weight went into a function) or more than once.
    """
    calls = Counter[str]()

    def count(name: str) -> None:
        calls[name] += 1

    hooks = [
        layer.register_forward_pre_hook(lambda *_, name=name: count(name)) for name, layer in layers.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    for name in layers:
        if calls[name] == 0:
            raise UserError(
                f"the model never calls its layer {name}, so its input cannot be quantised or counted; call the "
                "layer instead of a function of its weight"
            )
        if calls[name] > 1:
            raise UserError(
                f"the model calls its layer {name} {calls[name]} times, and a layer has one clipping level and one "
                "cost; give each call a layer of its own"
            )
