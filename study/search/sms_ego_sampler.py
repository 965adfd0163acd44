"""The default sampler for any study of Optuna that has several objectives.

    optuna.create_study(directions=["maximize", "minimize"], sampler=study.SmsEgoSampler())

It is `SmsEgo`, which learns there from the values of complete trials. What our driver tells it besides, Optuna has no
place for: measurements at rungs, their errors, and costs that are known without training.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Choice, Domain, Float, Int, Space
from study.search.feasible import FeasibleSpace
from study.search.sms_ego import SmsEgo

ROOM = 0.5
"""The gain of the best value so far, if no ideal is given; what is better still has room up to 1."""


class SmsEgoSampler(BaseSampler):
    """SMS-EGO for `optuna.create_study(directions=...)`; parameters that not every trial has are drawn at random.

    Args:
        seed: Of its random draws.
        bounds: (ideal, reference) of each objective, on its own scale. By default the reference is the worst value so
            far, and the ideal lies as far above the best as that does above the worst.

    Raises:
        ValueError: The study has a single objective.
    """

    def __init__(self, seed: int = 0, bounds: Sequence[tuple[float, float]] | None = None) -> None:
        self._seed = seed
        self._bounds = bounds
        self._independent = RandomSampler(seed=seed)
        self._common = IntersectionSearchSpace()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that every complete trial has."""
        if len(study.directions) < 2:
            raise ValueError("SmsEgoSampler trades objectives against each other; of one, take GPSampler")
        return {name: d for name, d in self._common.calculate(study).items() if not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values of the most promising configuration."""
        if not search_space:
            return {}
        parameters = {str(i): _domain(d) for i, d in enumerate(search_space.values())}
        space = FeasibleSpace(Space(name="optuna", parameters=parameters))
        sampler = SmsEgo(space, len(study.directions), self._seed + trial.number, epochs=1)
        states = (TrialState.COMPLETE, TrialState.RUNNING)
        trials = [
            t
            for t in study.get_trials(deepcopy=False, states=states)
            if search_space.keys() <= t.params.keys()
        ]
        for other, gains in zip(trials, self._gains(study, trials), strict=True):
            point = {str(i): _value(d, other.params[n]) for i, (n, d) in enumerate(search_space.items())}
            sampler.start(point)
            if other.state == TrialState.COMPLETE:
                sampler.measure(point, 1, gains, np.zeros(len(gains)))
                sampler.end(point)
        found = sampler.propose().point
        return {name: _external(d, found[str(i)]) for i, (name, d) in enumerate(search_space.items())}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value of a parameter that not every trial has."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _gains(self, study: Study, trials: Sequence[FrozenTrial]) -> NDArray[np.float64]:
        """Return the gains of `trials`, (n, m): 0 at the reference and 1 at the ideal; NaN of those that run."""
        signs = np.array([1.0 if d == StudyDirection.MAXIMIZE else -1.0 for d in study.directions])
        values = signs * [
            t.values if t.state == TrialState.COMPLETE else np.full(len(signs), np.nan) for t in trials
        ]
        if self._bounds is not None:
            ideal, reference = signs * np.array(self._bounds).T
        else:
            measured = np.where(np.isfinite(values), values, np.nan)
            reference = np.nanmin(measured, axis=0, initial=np.inf)
            ideal = reference + (np.nanmax(measured, axis=0, initial=-np.inf) - reference) / ROOM
        return np.asarray((values - reference) / np.where(ideal > reference, ideal - reference, 1.0))


def _domain(distribution: BaseDistribution) -> Domain:
    """Return the domain of a distribution; of a stepped or categorical one that of its positions."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            numbers = [c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)]
            is_ordered = len(numbers) == len(choices) and numbers == sorted(numbers)
            return Choice(values=tuple(i if is_ordered else str(i) for i in range(len(choices))))
        case FloatDistribution(step=float() as step):
            return Int(low=0, high=round((distribution.high - distribution.low) / step))
        case FloatDistribution():
            return Float(low=distribution.low, high=distribution.high, log=distribution.log)
        case IntDistribution():
            return Int(
                low=distribution.low, high=distribution.high, step=distribution.step, log=distribution.log
            )
    raise TypeError(f"a distribution of Optuna that is not known here: {distribution}")


def _value(distribution: BaseDistribution, value: Any) -> Any:
    """Return the value of the domain for one of the distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return _domain(distribution).finite()[int(distribution.to_internal_repr(value))]  # type: ignore[index]
    if isinstance(distribution, FloatDistribution) and distribution.step:
        return round((value - distribution.low) / distribution.step)
    return value


def _external(distribution: BaseDistribution, value: Any) -> Any:
    """Return the value of the distribution for one of the domain."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(value)]
    if isinstance(distribution, FloatDistribution) and distribution.step:
        return min(distribution.low + value * distribution.step, distribution.high)
    return value
