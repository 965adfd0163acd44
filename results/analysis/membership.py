"""How probable it is that a configuration is on the Pareto front, given the noise of what was measured.

Trials with equal parameters and different seeds are *replicates* of one configuration. A measurement of a replicate
differs from the configuration's true mean by two errors: that of the seed, whose variance is pooled over all
configurations with more than one replicate (of the search, and of `study.confirm`), and that of the images, which every
trial records as `<objective>_se`. Costs have neither.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.analysis import fronts, sampled_fronts
from results.analysis.memory import Memory
from results.analysis.metrics import COST_METRICS
from results.analysis.sampled_fronts import Means

FRONTS = "sampled fronts"
"""The sampled fronts in the memory of a study."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The error of one objective in the means of c configurations."""

    images: NDArray[np.float64] | None
    """Standard error that the images leave, (c,); None if none was recorded."""
    seed: float
    """Standard deviation between seeds, pooled; 0 if it is not known."""
    freedom: int
    """Degrees of freedom of `seed`; 0 if no configuration has two replicates."""

    @property
    def is_known(self) -> bool:
        """Whether there is any estimate of the error."""
        return self.images is not None or self.freedom > 0


def configurations(
    trials: pd.DataFrame,
    directions: Mapping[str, str],
    confirmations: pd.DataFrame | None = None,
    memory: Memory | None = None,
) -> pd.DataFrame:
    """Return the configurations that may enter a front, one row each, with their probability of being on it.

    The row of a configuration is that of its first trial, with the means over its replicates as metrics. Added
    columns: `draws`, the number of replicates; `p_front`, the probability; and for each objective
    `error.<objective>`, the standard deviation of its mean. Both are NaN where an objective has neither a recorded
    error nor two replicates of any configuration: its noise is not known.

    Args:
        trials: One row per trial: number, seed, state, feasible, params.*, metrics.*.
        directions: "max" or "min" of each objective.
        confirmations: `Study.confirmations`, whose seeds tell of the variance between seeds too.
        memory: `Study.memory`.
    """
    usable = trials[fronts.eligible(trials, directions)]
    group = _groups(usable)
    if "seed" in usable:  # the same seed again is the same replicate
        again = pd.DataFrame({"group": group, "seed": usable["seed"]}).duplicated() & usable["seed"].notna()
        usable, group = usable[~again], group[~again]
    means = _means(usable, group)
    noise = {name: _noise(name, means, [(usable, group), *_confirmed(confirmations)]) for name in directions}
    measured = _measured(means, directions, list(noise.values()))
    is_known = all(one.is_known for one in noise.values())
    means["p_front"] = _probabilities(measured, memory or Memory()) if is_known else np.nan
    deviations = measured.deviations(np.arange(len(means)))
    for (name, one), deviation in zip(noise.items(), deviations.T, strict=True):
        means[f"error.{name}"] = deviation if one.is_known else np.nan
    return means


def _measured(means: pd.DataFrame, directions: Mapping[str, str], noise: list[Noise]) -> Means:
    numbers = means["number"].to_numpy(int) if "number" in means else np.arange(len(means))
    if not (np.diff(numbers) > 0).all():
        numbers = np.arange(len(means))
    nothing = np.zeros(len(means))
    return Means(
        numbers=numbers,
        values=fronts.minimised(means, directions),
        images=np.column_stack([nothing if one.images is None else one.images for one in noise]),
        replicates=means["draws"].to_numpy(float),
        seed=np.array([one.seed for one in noise]),
        freedom=np.array([one.freedom for one in noise]),
    )


def _probabilities(means: Means, memory: Memory) -> NDArray[np.float64]:
    """Return the probability that each configuration is non-dominated, (c,).

    True means are sampled from their posterior (flat prior; errors independent and normal, the variance between seeds
    from its scaled inverse chi-squared distribution, the same for all configurations in one simulation).
    """
    if not len(means.numbers):
        return np.empty(0)
    sampled = sampled_fronts.sample(means, memory.last(FRONTS))
    memory.keep(FRONTS, sampled)
    return sampled.chances()


def _groups(trials: pd.DataFrame) -> pd.Series:
    """Return the same value for trials of the same parameters; without a parameter every trial stands alone."""
    names = [name for name in map(str, trials) if name.startswith("params.")]
    if not names:
        return pd.Series(np.arange(len(trials)), index=trials.index)
    return trials.groupby(names, dropna=False, sort=False).ngroup()


def _means(trials: pd.DataFrame, group: pd.Series) -> pd.DataFrame:
    """Return the first trial of each group, its metrics replaced by the means of the group, and `draws`, its size."""
    first = trials[~group.duplicated()].copy()
    replicates = group.map(group.value_counts()).loc[first.index]
    if len(first) < len(trials):
        metrics = [name for name in map(str, trials) if name.startswith("metrics.")]
        means = trials[metrics].astype(float).groupby(group, sort=False).mean()
        first[metrics] = means.loc[group[first.index]].to_numpy()
    return first.assign(draws=replicates.to_numpy(int))


def _confirmed(confirmations: pd.DataFrame | None) -> Iterable[tuple[pd.DataFrame, pd.Series]]:
    """Return the retrainings as replicates of the trial that each repeats, trained on the same images."""
    if confirmations is not None and len(confirmations):
        rows = confirmations[~confirmations["refit"].astype(bool)]
        yield rows, rows["trial"]


def _noise(name: str, means: pd.DataFrame, replicates: Iterable[tuple[pd.DataFrame, pd.Series]]) -> Noise:
    if name in COST_METRICS:
        return Noise(images=np.zeros(len(means)), seed=0.0, freedom=0)
    squares, freedom = 0.0, 0
    for rows, group in replicates:
        if f"metrics.{name}" in rows:
            values = rows[f"metrics.{name}"].astype(float).groupby(group)
            squares += float((values.var() * (values.count() - 1)).sum())
            freedom += int((values.count() - 1).clip(lower=0).sum())
    return Noise(
        images=_image_errors(means.get(f"metrics.{name}_se")),
        seed=float(np.sqrt(squares / freedom)) if freedom else 0.0,
        freedom=freedom,
    )


def _image_errors(recorded: pd.Series | None) -> NDArray[np.float64] | None:
    """Return the errors, with the mean variance of the others where one is missing; None if all are."""
    if recorded is None:
        return None
    errors = recorded.astype(float).where(recorded >= 0)
    if errors.isna().all():
        return None
    return np.asarray(errors.fillna(float(np.sqrt((errors**2).mean()))), float)


def caveat(configurations: pd.DataFrame, confirmations: pd.DataFrame) -> str:
    """Return what `p_front` leaves out, as a sentence without a full stop; "" if nothing, or if there is no front."""
    errors = configurations.filter(regex=r"^error\.")
    if unknown := [name.removeprefix("error.") for name in map(str, errors) if errors[name].isna().all()]:
        if len(configurations):
            return (
                f"not known, because {', '.join(unknown)} has no recorded error "
                "and no configuration was trained with two seeds"
            )
        return ""
    retrained = confirmations.loc[~confirmations["refit"].astype(bool), "trial"].value_counts()
    if len(configurations) and configurations["draws"].max() == 1 and not retrained.max() >= 2:
        return (
            "holds the error of the images only, because no configuration was trained with two seeds; "
            "the true probabilities are less extreme"
        )
    return ""
