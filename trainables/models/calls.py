"""What a pass through a model does: how often it calls each layer, and how often it reads each tensor."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from study_common.errors import UserError


@contextmanager
def each_called_once(layers: Mapping[str, nn.Module]) -> Iterator[None]:
    """Check the one pass inside the context: a quantised input and a count of costs belong to exactly one call.

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


class Reads(TorchFunctionMode):
    """Within this context it is counted how many operations read each tensor; asking for its shape is none."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[int, tuple[Tensor, int]] = {}

    def of(self, tensor: Tensor) -> int:
        """Return how many operations have read a tensor."""
        return self._found.get(id(tensor), (tensor, 0))[1]

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call the function, and count its tensors if it makes one."""
        result = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            for leaf in tree_leaves((args, kwargs)):
                if isinstance(leaf, Tensor):  # kept, so that no other tensor gets its id
                    self._found[id(leaf)] = (leaf, self.of(leaf) + 1)
        return result
