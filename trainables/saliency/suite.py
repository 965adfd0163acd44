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
from trainables.saliency.faithfulness import (
    FRACTIONS,
    Faithfulness,
    answers_to,
    faithfulness,
    standard_error,
)
from trainables.saliency.removal import REMOVALS, Background, check_size

OBJECTIVE = ("other_image",)
"""The removals whose mean is `faithfulness`; docs/faithfulness.md has the study that chooses them."""
OTHERS = 50
"""The other removals and the controls look at about so many of the images: they cost as much and decide less."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What the removals say of a model's maps, and of the controls."""

    by_removal: Mapping[str, Faithfulness]
    """Of the model's maps: those of `OBJECTIVE` at least."""
    controls: Mapping[str, Mapping[str, Faithfulness]]
    """Of each control's maps, the removals of `OBJECTIVE`, on some of the images; may be empty."""
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
        faithfulness.over_CONTROL   faithfulness less that of the control on the same images, with the _se of the
                                    paired difference
        faithfulness.blank      the share of the model's maps that are constant
        """
        found: dict[str, float] = {"faithfulness_images": len(self.each)}
        found |= _with_error("faithfulness", self.each)
        for name, one in self.by_removal.items():
            found |= _with_error(f"faithfulness.{name}", one.each)
        for name, removals in self.controls.items():
            control = _mean_of_objective(removals)
            found |= _with_error(f"faithfulness.{name}", control)
            found |= _with_error(f"faithfulness.over_{name}", self.each[_some(self.each)] - control)
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
            own = labels[_looked_at(removal, labels)]
            orders = {"morf": (found, found.morf, own), "lerf": (found, found.lerf, own)}
            if control := self.controls.get("random", {}).get(removal):
                orders["random"] = (control, control.morf, labels[_some(labels)])
            for order, (of, answers, classes_of) in orders.items():
                classes = (of.predicted, *answers.classes.T)
                probabilities = (of.confidence, *answers.probability.T)
                rows += [
                    {
                        "removal": removal,
                        "order": order,
                        "fraction": fraction,
                        "kept": (predicted == of.predicted).cpu().double().mean().item(),
                        "probability": probability.cpu().double().mean().item(),
                        "accuracy": (predicted == classes_of).cpu().double().mean().item(),
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
    whole: Tensor | None = None,
) -> Assessment:
    """Score a model's maps, and the controls' maps of the same images, by the suite.

    Args:
        model: in evaluation mode, from images to logits.
        X: images (n, C, H, W), as the model reads them.
        maps: saliency maps (n, H, W) of X for the classes that the model predicts.
        background: of the data set of X.
        removals: names of `REMOVALS` for the model's maps, those of `OBJECTIVE` among them.
        controls: names of `CONTROLS`.
        whole: what the model answers to X, (n, classes), where that is known.

    Returns:
        The scores. Each removal takes 2 * len(FRACTIONS) forward passes per image and set of maps. Those of `OBJECTIVE`
        look at all images, the others and the controls at about `OTHERS` of them.

    Raises:
        UserError: The images are too small to remove parts of them.
    """
    check_size(X)
    answers = answers_to(model, X) if whole is None else whole

    def score(of: Tensor, removal: str, some: slice) -> Faithfulness:
        return faithfulness(
            model, X[some], of[some], removal=REMOVALS[removal], background=background, whole=answers[some]
        )

    return Assessment(
        by_removal={name: score(maps, name, _looked_at(name, X)) for name in removals},
        controls={
            name: {removal: score(CONTROLS[name](X, background), removal, _some(X)) for removal in OBJECTIVE}
            for name in controls
        },
        blank=blank(maps),
    )


def _looked_at(removal: str, images: Tensor) -> slice:
    return slice(None) if removal in OBJECTIVE else _some(images)


def _some(images: Tensor) -> slice:
    """About `OTHERS` of the images, at equal distances."""
    return slice(None, None, max(1, len(images) // OTHERS))


def _mean_of_objective(by_removal: Mapping[str, Faithfulness]) -> Tensor:
    return torch.stack([by_removal[name].each for name in OBJECTIVE]).mean(0)


def _with_error(name: str, each: Tensor) -> dict[str, float]:
    return {name: each.mean().item(), f"{name}_se": standard_error(each)}
