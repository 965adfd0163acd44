"""A Gaussian process over configurations and epochs, cheap enough to be fitted anew for every proposal.

Its kernel is a sum: what a configuration is worth, k_x; what an epoch is worth, k_e; and a little of their product,
how one configuration learns unlike the others. So the many measurements after one epoch say which configurations are
good, and the few after the last one how much there is still to gain. k_x is a mean of one kernel per parameter
(Duvenaud et al., "Additive Gaussian Processes", NeurIPS 2011) and one over all: the first learns main effects, such as
that of the width of a layer, from few points in many dimensions.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SCALES = (0.3, 0.6, 1.2)
"""Length scales that are tried, of parameters in [0, 1]."""
NOISES = (0.02, 0.1, 0.3)
"""Noise variances that are tried, of standardised values."""
ADDITIVE = 0.6
"""The share of k_x that is additive."""
INTERACTION = 0.3
"""The variance of k_x k_e; that of k_x and of k_e is 1."""
LEVEL_SCALE = 0.5
"""The length scale of levels in [0, 1]."""


@dataclass(frozen=True)
class Surrogate:
    """A fitted process: zero mean and the prior variance `2 + INTERACTION` in standardised values."""

    points: Array
    """(n, d) parameters in [0, 1]"""
    levels: Array
    """(n,) in [0, 1]: 0 after the first epoch, 1 after the last"""
    values: Array
    """(n,) what was measured there"""
    scale: float
    noise: float
    mean: float
    deviation: float
    cholesky: Array
    """(n, n), lower, of the covariance of the observations"""
    weights: Array
    """(n,), the inverse covariance times the standardised values"""

    @classmethod
    def fit(cls, points: Array, levels: Array, values: Array, scale: float, noise: float) -> "Surrogate":
        """Condition on `values` (n,). O(n^2 d + n^3)."""
        mean, deviation = float(values.mean()), float(values.std()) or 1.0
        covariance = _kernel(points, levels, points, levels, scale) + noise * np.eye(len(points))
        cholesky: Array = np.linalg.cholesky(covariance).astype(np.float64)
        weights: Array = np.linalg.solve(covariance, (values - mean) / deviation).astype(np.float64)
        return cls(points, levels, values, scale, noise, mean, deviation, cholesky, weights)

    @classmethod
    def fit_best(cls, points: Array, levels: Array, values: Array) -> "Surrogate":
        """Condition on `values` with the scale and the noise that make them likeliest."""
        fits = (cls.fit(points, levels, values, *choice) for choice in product(SCALES, NOISES))
        standardised = (values - values.mean()) / (values.std() or 1.0)
        return max(fits, key=lambda fit: fit._evidence(standardised))

    def believing(self, points: Array, values: Array) -> "Surrogate":
        """Return the process conditioned on `values` (m,) at `points` (m, d) after the last epoch as well."""
        return self.fit(
            np.vstack([self.points, points]),
            np.concatenate([self.levels, np.ones(len(points))]),
            np.concatenate([self.values, values]),
            self.scale,
            self.noise,
        )

    def predict(self, points: Array, level: float = 1.0) -> tuple[Array, Array]:
        """Return mean and standard deviation, (m,) each, at `points` (m, d) after the epoch of `level`."""
        cross = _kernel(points, np.full(len(points), level), self.points, self.levels, self.scale)
        explained = np.linalg.solve(self.cholesky, cross.T)
        variance = np.maximum(2 + INTERACTION - (explained**2).sum(axis=0), 1e-9)
        return self.mean + self.deviation * (cross @ self.weights), self.deviation * np.sqrt(variance)

    def _evidence(self, standardised: Array) -> float:
        """The log marginal likelihood, up to a constant."""
        return float(-standardised @ self.weights / 2 - np.log(np.diag(self.cholesky)).sum())


def _kernel(a: Array, levels_a: Array, b: Array, levels_b: Array, scale: float) -> Array:
    squares = ((a[:, None, :] - b[None, :, :]) / scale) ** 2
    k_x = ADDITIVE * np.exp(-squares / 2).mean(axis=-1) + (1 - ADDITIVE) * np.exp(-squares.mean(axis=-1))
    k_e = np.exp(-np.abs(levels_a[:, None] - levels_b[None, :]) / LEVEL_SCALE)
    return np.asarray(k_x + k_e + INTERACTION * k_x * k_e)
