"""The removal suite: one model's maps scored by several removals, beside maps that know nothing of the model.

The score of one removal says as much about the removal as about the map (docs/faithfulness.md). A trial's objective is
the mean over `OBJECTIVE`, which SGT does not train on, and every removal's own score is recorded beside it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import torch
from torch import Tensor, nn

from trainables.saliency.attribution import blank
from trainables.saliency.controls import CONTROLS
from trainables.saliency.faithfulness import FRACTIONS, Faithfulness, faithfulness, standard_error
from trainables.saliency.removal import REMOVALS, Background, check_size

OBJECTIVE = ("other_image",)
"""The removals whose mean is `faithfulness`; docs/faithfulness.md has the study that chooses them."""
FEW = 50
"""From so many images on the other removals look at every second one only: they cost as much and decide nothing."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What the removals say of a model's maps, and of the controls."""

    by_removal: Mapping[str, Faithfulness]
    """Of the model's maps: those of `OBJECTIVE` at least."""
    controls: Mapping[str, Mapping[str, Faithfulness]]
    """Of each control's maps, the removals of `OBJECTIVE`; may be empty."""
    blank: Tensor
    """bool (n,): which of the model's maps are constant."""

    @cached_property
    def each(self) -> Tensor:
        """The score of every image, (n,) in [-1, 1]: the mean of `OBJECTIVE`."""
        return _mean_of_objective(self.by_removal)

    @property
    def score(self) -> float:
        """The mean over images."""
        return float(self.each.mean())

    @property
    def standard_error(self) -> float:
        """The standard error of the score."""
        return standard_error(self.each)

    def metrics(self) -> dict[str, float]:
        """What a trial records.

        faithfulness            the mean of `OBJECTIVE`, with _se, and _images, how many there were
        faithfulness.REMOVAL    each removal's own score, with _se
        faithfulness.CONTROL    the same mean for the maps of a control, with _se
        faithfulness.over_CONTROL   faithfulness less that of the control, with the _se of the paired difference
        faithfulness.blank      the share of the model's maps that are constant
        """
        found: dict[str, float] = {"faithfulness_images": len(self.each)}
        found |= _with_error("faithfulness", self.each)
        for name, one in self.by_removal.items():
            found |= _with_error(f"faithfulness.{name}", one.each)
        for name, removals in self.controls.items():
            control = _mean_of_objective(removals)
            found |= _with_error(f"faithfulness.{name}", control)
            found |= _with_error(f"faithfulness.over_{name}", self.each - control)
        return found | {"faithfulness.blank": self.blank.cpu().double().mean().item()}

    def curves(self, labels: Tensor) -> pd.DataFrame:
        """How predictions change as pixels are removed, for each removal of the model's maps and each order.

        Args:
            labels: the classes (n,) of the images.

        Returns:
            Rows for each removal, order (morf, lerf; random where that control was scored) and fraction (0.0 and
            `FRACTIONS`): `kept`, the share of images that keep their predicted class; `probability`, the mean
            probability of that class; and `accuracy`.
        """
        rows = []
        for removal, found in self.by_removal.items():
            own = labels[_looked_at(removal, len(labels))]
            orders = {"morf": found.morf, "lerf": found.lerf}
            if removal in self.controls.get("random", {}):
                orders["random"] = self.controls["random"][removal].morf
            for order, answers in orders.items():
                classes = (found.predicted, *answers.classes.T)
                probabilities = (found.confidence, *answers.probability.T)
                rows += [
                    {
                        "removal": removal,
                        "order": order,
                        "fraction": fraction,
                        "kept": (predicted == found.predicted).cpu().double().mean().item(),
                        "probability": probability.cpu().double().mean().item(),
                        "accuracy": (predicted == own).cpu().double().mean().item(),
                    }
                    for fraction, predicted, probability in zip(
                        (0.0, *FRACTIONS), classes, probabilities, strict=True
                    )
                ]
        return pd.DataFrame(rows)

    def objective_curves(self, labels: Tensor) -> pd.DataFrame:
        """The mean of the curves of `OBJECTIVE`: order, fraction, kept, probability, accuracy."""
        rows = self.curves(labels)
        rows = rows[rows["removal"].isin(OBJECTIVE)]
        return (
            rows.groupby(["order", "fraction"], sort=False)[["kept", "probability", "accuracy"]]
            .mean()
            .reset_index()
        )


def assess(
    model: nn.Module,
    X: Tensor,
    maps: Tensor,
    background: Background,
    *,
    removals: Iterable[str] = REMOVALS,
    controls: Iterable[str] = CONTROLS,
) -> Assessment:
    """Score a model's maps, and the controls' maps of the same images, by the suite.

    Args:
        model: in evaluation mode, from images to logits.
        X: images (n, C, H, W), as the model reads them.
        maps: saliency maps (n, H, W) of X for the classes that the model predicts.
        background: of the data set of X.
        removals: names of `REMOVALS` for the model's maps, those of `OBJECTIVE` among them.
        controls: names of `CONTROLS`.

    Returns:
        The scores. Each removal takes 1 + 2 * len(FRACTIONS) forward passes per image and set of maps; those that are
        not of `OBJECTIVE` look at every second image if there are `FEW` or more.

    Raises:
        UserError: The images are too small to remove parts of them.
    """
    check_size(X)

    def scores(of: Tensor, names: Iterable[str]) -> dict[str, Faithfulness]:
        found = {}
        for name in names:
            some = _looked_at(name, len(X))
            found[name] = faithfulness(
                model, X[some], of[some], removal=REMOVALS[name], background=background
            )
        return found

    return Assessment(
        by_removal=scores(maps, removals),
        controls={name: scores(CONTROLS[name](X, background), OBJECTIVE) for name in controls},
        blank=blank(maps),
    )


def _looked_at(removal: str, images: int) -> slice:
    return slice(None) if removal in OBJECTIVE or images < FEW else slice(None, None, 2)


def _mean_of_objective(by_removal: Mapping[str, Faithfulness]) -> Tensor:
    return torch.stack([by_removal[name].each for name in OBJECTIVE]).mean(0)


def _with_error(name: str, each: Tensor) -> dict[str, float]:
    return {name: each.mean().item(), f"{name}_se": standard_error(each)}
