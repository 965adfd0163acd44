"""Fronts of sampled true means: how often each configuration is on one is its probability of being on the front.

Every configuration has random numbers of its own, by the number of its first trial. So the sampled fronts of a study
with one more configuration are those of the study without it, updated: the same, bit for bit, as all of them anew, for
a thousandth of the work.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from results.analysis import fronts

SIMULATIONS = 1000
"""Fronts that are sampled; the standard error of a probability is then at most 0.016."""

FEW_SIMULATIONS = 250
"""The same for more than `MANY` configurations: at most 0.032."""

MANY = 10_000

REACH = 4.0
"""Standard deviations beyond which no sample lies: what is farther behind has no chance, and is not simulated."""

MAX_ADDED = 200
"""New configurations up to which an update is cheaper than sampling all fronts anew."""

BLOCK, CHUNK = 32, 50
"""Configurations and simulations whose random numbers are drawn together."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Means:
    """The measured means of c configurations in m objectives, minimised, and what is known of their errors."""

    numbers: NDArray[np.int64]
    """What the random numbers of each configuration are drawn by, ascending, (c,)."""
    values: Floats
    """(c, m)."""
    images: Floats
    """Standard errors that the images leave, (c, m)."""
    replicates: Floats
    """(c,)."""
    seed: Floats
    """Standard deviations between seeds, pooled, (m,)."""
    freedom: NDArray[np.int64]
    """Degrees of freedom of `seed`, (m,); 0 where it is not known."""

    def deviations(self, rows: NDArray[np.int64], scales: Floats | float = 1.0) -> Floats:
        """Return the deviations of the means `rows`, the variances between seeds times `scales`."""
        variance = scales * self.seed**2 / self.replicates[rows, None]
        return np.asarray(np.sqrt(np.square(self.images[rows]) + variance))

    def sampled(self, rows: NDArray[np.int64], scales: Floats | float, normals: Floats) -> Floats:
        """Return true means as they may be: `normals` deviations from the measured ones, at most `REACH`."""
        most = REACH * self.deviations(rows)
        errors = self.deviations(rows, scales) * normals
        return np.asarray(self.values[rows] + np.clip(errors, -most, most))


@dataclass(frozen=True, kw_only=True)
class SampledFronts:
    """Fronts of `simulations` samples of the true means; k members in all."""

    means: Means
    simulations: int
    scales: Floats
    """What the variance between seeds is multiplied with in each simulation, (simulations, m)."""
    simulation: NDArray[np.int64]
    """Of each member, (k,)."""
    number: NDArray[np.int64]
    """Of the configuration of each member, (k,)."""
    points: Floats
    """The members, (k, m)."""

    def chances(self) -> Floats:
        """Return in which share of the samples each configuration is non-dominated, (c,)."""
        rows = np.searchsorted(self.means.numbers, self.number)
        return np.bincount(rows, minlength=len(self.means.numbers)) / self.simulations


def sample(means: Means, known: SampledFronts | None = None) -> SampledFronts:
    """Return the sampled fronts of at least one configuration.

    Args:
        means: Of the configurations.
        known: Those of earlier means. If there are only a few more now, and nothing else has changed, they are updated.
    """
    simulations = SIMULATIONS if len(means.numbers) <= MANY else FEW_SIMULATIONS
    if not means.images.any() and not means.seed.any():
        simulations = 1
    if known and known.simulations == simulations:
        added = _added(means, known.means)
        if added is not None and len(added) <= MAX_ADDED:
            return _updated(known, means, added)
    return _anew(means, simulations)


def _anew(means: Means, simulations: int) -> SampledFronts:
    m = means.values.shape[1]
    scales = np.ones((simulations, m))
    for objective, freedom in enumerate(means.freedom):
        if freedom:
            rng = np.random.default_rng([0, objective])
            scales[:, objective] = freedom / rng.chisquare(freedom, simulations)
    everything = np.arange(len(means.numbers))
    near = np.flatnonzero(may_be_front(means.values, means.deviations(everything)))
    parts = []
    for start in range(0, simulations, CHUNK):
        normals = _normals(means.numbers[near], start // CHUNK, m)[: simulations - start]
        some = scales[start : start + CHUNK, None] if means.freedom.any() else 1.0
        points = means.sampled(near, some, normals)
        is_best = np.array([fronts.nondominated(of_one) for of_one in points])
        simulation, place = np.nonzero(is_best)
        parts.append((start + simulation, means.numbers[near[place]], points[is_best]))
    simulation, number, members = (np.concatenate(part) for part in zip(*parts, strict=True))
    return SampledFronts(
        means=means,
        simulations=simulations,
        scales=scales,
        simulation=simulation,
        number=number,
        points=members,
    )


def _added(means: Means, before: Means) -> NDArray[np.int64] | None:
    """Return the rows of `means` that were not there before; None if more has changed than that."""
    same = np.array_equal(means.seed, before.seed) and np.array_equal(means.freedom, before.freedom)
    rows = np.searchsorted(means.numbers, before.numbers)
    if not same or rows[-1] >= len(means.numbers):
        return None
    for now, then in (
        (means.numbers, before.numbers),
        (means.values, before.values),
        (means.images, before.images),
        (means.replicates, before.replicates),
    ):
        if not np.array_equal(now[rows], then):
            return None
    return np.setdiff1d(np.arange(len(means.numbers)), rows)


def _updated(known: SampledFronts, means: Means, added: NDArray[np.int64]) -> SampledFronts:
    simulation, number, points = known.simulation, known.number, known.points
    chunks = -(-known.simulations // CHUNK)
    for row in added:
        rows = np.array([row])
        normals = np.concatenate(
            [_normals(means.numbers[rows], chunk, points.shape[1])[:, 0] for chunk in range(chunks)]
        )
        mine = means.sampled(rows, known.scales, normals[: known.simulations])
        beside = mine[simulation]
        loses = simulation[(points <= beside).all(axis=1) & (points < beside).any(axis=1)]
        enters = np.setdiff1d(np.arange(known.simulations), loses)
        stays = ~((beside <= points).all(axis=1) & (beside < points).any(axis=1))
        simulation = np.concatenate([simulation[stays], enters])
        number = np.concatenate([number[stays], np.full(len(enters), means.numbers[row])])
        points = np.concatenate([points[stays], mine[enters]])
    return replace(known, means=means, simulation=simulation, number=number, points=points)


def _normals(numbers: NDArray[np.int64], chunk: int, m: int) -> Floats:
    """Return the standard normal numbers of configurations in `CHUNK` simulations, (CHUNK, c, m)."""
    found = np.empty((CHUNK, len(numbers), m))
    blocks = numbers // BLOCK
    for block in np.unique(blocks):
        rows = slice(*np.searchsorted(blocks, [block, block + 1]))
        rng = np.random.Generator(np.random.Philox(key=np.array([block, chunk], np.uint64)))
        found[:, rows] = rng.standard_normal((CHUNK, BLOCK, m))[:, numbers[rows] % BLOCK]
    return found


def may_be_front(minimised: Floats, spread: Floats) -> NDArray[np.bool_]:
    """Return which configurations, at their best, are dominated by none at its worst, (c,)."""
    worst = minimised + REACH * spread
    best = minimised - REACH * spread
    left = np.arange(len(minimised))
    for point in worst[fronts.nondominated(worst)]:
        better = (point <= best[left]).all(axis=1) & (point < best[left]).any(axis=1)
        left = left[~better]
    return np.isin(np.arange(len(minimised)), left)
