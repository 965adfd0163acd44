"""A Gaussian process over configurations and epochs, cheap enough to be fitted anew for every proposal.

Its kernel is a sum: what a configuration is worth, k_x; what an epoch is worth, k_e; and a little of their product,
how one configuration learns unlike the others. So the many measurements after one epoch say which configurations are
good, and the few after the last one how much there is still to gain. k_x is a mean of one kernel per parameter
(Duvenaud et al., "Additive Gaussian Processes", NeurIPS 2011) and one over all: the first learns main effects, such as
that of the width of a layer, from few points in many dimensions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

Array = NDArray[np.float64]
LENGTH_SCALES = (0.3, 0.6, 1.2)
"""Length scales that are tried, of parameters in [0, 1]."""
NOISES = (0.003, 0.02, 0.1, 0.3)
"""Noise variances that are tried, of standardised values."""
ADDITIVE = 0.6
"""The share of k_x that is additive."""
INTERACTION = 0.3
"""The variance of k_x k_e; that of k_x and of k_e is 1."""
FIDELITY_SCALE = 0.5
"""The length scale of fidelities in [0, 1]."""
PRIOR = 2 + INTERACTION
"""The variance of the kernel."""


@dataclass(frozen=True)
class Inputs:
    """n pairs of a configuration and an epoch, where something was or may be measured."""

    points: Array
    """(u, d) in [0, 1]: the configurations, each once"""
    rows: NDArray[np.intp]
    """(n,): the row of `points` of each pair"""
    fidelities: Array
    """(n,) in [0, 1]: 0 after the first epoch, 1 after the last"""

    @classmethod
    def at_end(cls, points: Array) -> "Inputs":
        """Return each of `points` (n, d) after the last epoch."""
        return cls(points, np.arange(len(points)), np.ones(len(points)))

    def __len__(self) -> int:
        return len(self.rows)

    def __add__(self, other: "Inputs") -> "Inputs":
        """Return the pairs of both."""
        return Inputs(
            np.vstack([self.points, other.points]),
            np.append(self.rows, len(self.points) + other.rows),
            np.append(self.fidelities, other.fidelities),
        )


@dataclass(frozen=True)
class Hyperparameters:
    """What a process of one objective is fitted with."""

    length_scale: float
    noise: float
    """Variance of what another training would change, of standardised values; errors of measurement come on top."""


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """A fitted process of one objective; the prior variance is `PRIOR` in standardised values.

    It also believes that `pending` configurations will measure what it predicts (the kriging believer of Ginsbourger
    et al., 2010). That leaves the mean as it is and takes the variance away around them.
    """

    inputs: Inputs
    """n where something was measured, then r that are pending."""
    length_scale: float
    mean: float
    """Mean of the values."""
    deviation: float
    """Standard deviation of the values."""
    weights: Array
    """(n,): the inverse covariance times the standardised values"""
    cholesky: Array
    """(n + r, n + r), lower, of the covariance"""

    @classmethod
    def fit(
        cls,
        measured: Inputs,
        values: Array,
        errors: Array,
        pending: Array,
        hyperparameters: Hyperparameters,
    ) -> "Surrogate":
        """Condition on `values` (n,) with standard `errors` (n,); r configurations are `pending` (r, d).

        O((u + r)^2 d + (n + r)^3).
        """
        n, inputs = len(measured), measured + Inputs.at_end(pending)
        standardised, mean, deviation = _standardised(values)
        noise = np.full(len(inputs), hyperparameters.noise)
        noise[:n] += (errors / deviation) ** 2
        covariance = _covariance(inputs, inputs, hyperparameters.length_scale)
        factor = cholesky(covariance + np.diag(noise), lower=True)
        weights = cho_solve((factor[:n, :n], True), standardised)
        return cls(
            inputs=inputs, length_scale=hyperparameters.length_scale, mean=mean, deviation=deviation,
            weights=weights, cholesky=factor,
        )  # fmt: skip

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation, (k,) each, at `points` (k, d) after the last epoch."""
        cross = _covariance(Inputs.at_end(points), self.inputs, self.length_scale)
        explained = solve_triangular(self.cholesky, cross.T, lower=True)
        mean = cross[:, : len(self.weights)] @ self.weights
        spread = np.sqrt(np.maximum(PRIOR - (explained**2).sum(axis=0), 1e-9))
        return self.mean + self.deviation * mean, self.deviation * spread


def choose(measured: Inputs, values: Array, errors: Array) -> Hyperparameters:
    """Return the hyperparameters that make `values` (n,) with standard `errors` (n,) likeliest.

    Each objective has its own: luck decides a faithfulness more than an accuracy.
    """
    standardised, _, deviation = _standardised(values)
    known = np.diag((errors / deviation) ** 2)
    candidates, likelihoods = [], []
    for length_scale in LENGTH_SCALES:
        covariance = _covariance(measured, measured, length_scale) + known
        for noise in NOISES:
            factor = cholesky(covariance + noise * np.eye(len(measured)), lower=True)
            whitened = solve_triangular(factor, standardised, lower=True)
            likelihoods.append(-(whitened**2).sum() / 2 - np.log(np.diag(factor)).sum())
            candidates.append(Hyperparameters(length_scale, noise))
    return candidates[int(np.argmax(likelihoods))]


def _standardised(values: Array) -> tuple[Array, float, float]:
    """Return `values` (n,) with mean 0 and standard deviation 1, and what these were."""
    mean, deviation = float(values.mean()), max(float(values.std()), 1e-12)
    return (values - mean) / deviation, mean, deviation


def _covariance(a: Inputs, b: Inputs, length_scale: float) -> Array:
    squares = ((a.points[:, None, :] - b.points[None, :, :]) / length_scale) ** 2
    k_x = ADDITIVE * np.exp(-squares / 2).mean(axis=-1) + (1 - ADDITIVE) * np.exp(-squares.mean(axis=-1))
    k_x = k_x[np.ix_(a.rows, b.rows)]
    k_e = np.exp(-np.abs(a.fidelities[:, None] - b.fidelities[None, :]) / FIDELITY_SCALE)
    return np.asarray(k_x + k_e + INTERACTION * k_x * k_e)
