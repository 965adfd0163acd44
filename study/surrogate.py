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
NOISES = (0.02, 0.1, 0.3)
"""Noise variances that are tried, of standardised values."""
ADDITIVE = 0.6
"""The share of k_x that is additive."""
INTERACTION = 0.3
"""The variance of k_x k_e; that of k_x and of k_e is 1."""
FIDELITY_SCALE = 0.5
"""The length scale of fidelities in [0, 1]."""
PRIOR = 2 + INTERACTION
"""The variance of the whole kernel."""


@dataclass(frozen=True)
class Surrogate:
    """A fitted process of m objectives that share their kernel; the prior variance is `PRIOR` in standardised values.

    It also believes that `pending` configurations will measure what it predicts (the kriging believer of Ginsbourger
    et al., 2010). That leaves the mean as it is and takes the variance away around them.
    """

    points: Array
    """(n + r, d) in [0, 1]: where something was measured, then what is pending"""
    fidelities: Array
    """(n + r,) in [0, 1]: 0 after the first epoch, 1 after the last"""
    length_scale: float
    mean: Array
    """(m,) of the values"""
    deviation: Array
    """(m,)"""
    weights: Array
    """(n, m): the inverse covariance times the standardised values"""
    cholesky: Array
    """(n + r, n + r), lower, of the covariance"""
    beliefs: Array
    """(r, m): what the pending configurations are believed to measure after the last epoch"""

    @classmethod
    def fit(
        cls,
        points: Array,
        fidelities: Array,
        values: Array,
        pending: Array,
        length_scale: float,
        noise: float,
    ) -> "Surrogate":
        """Condition on `values` (n, m) at `points` (n, d) and `fidelities` (n,). O((n + r)^2 d + (n + r)^3)."""
        n = len(points)
        points, fidelities = np.vstack([points, pending]), np.append(fidelities, np.ones(len(pending)))
        mean, deviation = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-12)
        kernel = _kernel(points, fidelities, points, fidelities, length_scale)
        factor = cholesky(kernel + noise * np.eye(len(points)), lower=True)
        weights = cho_solve((factor[:n, :n], True), (values - mean) / deviation)
        beliefs = mean + deviation * (kernel[n:, :n] @ weights)
        return cls(points, fidelities, length_scale, mean, deviation, weights, factor, beliefs)

    @classmethod
    def choose(cls, points: Array, fidelities: Array, values: Array) -> tuple[float, float]:
        """Return the length scale and the noise that make `values` (n, m) likeliest."""
        standardised = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12)
        likelihood = {}
        for length_scale in LENGTH_SCALES:
            kernel = _kernel(points, fidelities, points, fidelities, length_scale)
            for noise in NOISES:
                factor = cholesky(kernel + noise * np.eye(len(points)), lower=True)
                whitened = solve_triangular(factor, standardised, lower=True)
                log_determinants = values.shape[1] * np.log(np.diag(factor)).sum()
                likelihood[length_scale, noise] = -(whitened**2).sum() / 2 - log_determinants
        return max(likelihood, key=likelihood.__getitem__)

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation, (k, m) each, at `points` (k, d) after the last epoch."""
        cross = _kernel(points, np.ones(len(points)), self.points, self.fidelities, self.length_scale)
        explained = solve_triangular(self.cholesky, cross.T, lower=True)
        spread = np.sqrt(np.maximum(PRIOR - (explained**2).sum(axis=0), 1e-9))
        mean = self.mean + self.deviation * (cross[:, : len(self.weights)] @ self.weights)
        return mean, spread[:, None] * self.deviation


def _kernel(a: Array, fidelities_a: Array, b: Array, fidelities_b: Array, length_scale: float) -> Array:
    squares = ((a[:, None, :] - b[None, :, :]) / length_scale) ** 2
    k_x = ADDITIVE * np.exp(-squares / 2).mean(axis=-1) + (1 - ADDITIVE) * np.exp(-squares.mean(axis=-1))
    k_e = np.exp(-np.abs(fidelities_a[:, None] - fidelities_b[None, :]) / FIDELITY_SCALE)
    return np.asarray(k_x + k_e + INTERACTION * k_x * k_e)
