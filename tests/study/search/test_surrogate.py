"""The surrogate against a Gaussian conditioned by hand, one covariance at a time."""

import math

import numpy as np
import pytest

from study.search.surrogate import (
    ADDITIVE,
    FIDELITY_SCALE,
    INTERACTION,
    NOISES,
    Hyperparameters,
    Inputs,
    Surrogate,
    choose,
)


def covariance(x: np.ndarray, e: float, y: np.ndarray, f: float, length_scale: float) -> float:
    """Return that of configuration x at fidelity e and y at f, as the module's docstring has it."""
    squares = [((a - b) / length_scale) ** 2 for a, b in zip(x, y, strict=True)]
    additive = sum(math.exp(-s / 2) for s in squares) / len(squares)
    k_x = ADDITIVE * additive + (1 - ADDITIVE) * math.exp(-sum(squares) / len(squares))
    k_e = math.exp(-abs(e - f) / FIDELITY_SCALE)
    return k_x + k_e + INTERACTION * k_x * k_e


def conditioned(pairs, values, errors, asked, hyperparameters):
    """Return mean and standard deviation of `asked` (k, d) after the last epoch, given values at (x, e) pairs."""
    mean, deviation = values.mean(), values.std()
    k = np.array([[covariance(*p, *q, hyperparameters.length_scale) for q in pairs] for p in pairs])
    inverse = np.linalg.inv(k + np.diag(hyperparameters.noise + (errors / deviation) ** 2))
    found = []
    for x in asked:
        cross = np.array([covariance(x, 1.0, *p, hyperparameters.length_scale) for p in pairs])
        known = covariance(x, 1.0, x, 1.0, hyperparameters.length_scale) - cross @ inverse @ cross
        found.append(
            (mean + deviation * cross @ inverse @ ((values - mean) / deviation), deviation * known**0.5)
        )
    return np.array(found).T


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def measured(rng: np.random.Generator) -> Inputs:
    """Six configurations; all are measured after the first epoch, and two later too."""
    return Inputs(
        rng.random((6, 3)), np.array([0, 0, 0, 1, 2, 3, 4, 4, 5]), np.array([0, 0.5, 1, 0, 0, 0, 0, 0.5, 0])
    )


@pytest.fixture
def values(rng: np.random.Generator, measured: Inputs) -> np.ndarray:
    return rng.normal(0.7, 0.1, len(measured))


HYPERPARAMETERS = Hyperparameters(0.6, 0.1)
NOBODY = np.empty((0, 3))
ERRORS = np.linspace(0, 0.2, 9)


def test_it_is_a_gaussian_conditioned_on_what_was_measured(rng, measured, values) -> None:
    """To rounding; what has a larger error counts less."""
    asked = rng.random((4, 3))
    pairs = [(measured.points[row], e) for row, e in zip(measured.rows, measured.fidelities, strict=True)]
    expected = conditioned(pairs, values, ERRORS, asked, HYPERPARAMETERS)
    found = Surrogate.fit(measured, values, ERRORS, NOBODY, HYPERPARAMETERS).predict(asked)
    assert found == pytest.approx(expected)


def test_pending_configurations_are_believed(rng, measured, values) -> None:
    """They are to measure the mean, so they leave it as it is everywhere and take variance away."""
    asked, pending = rng.random((4, 3)), rng.random((2, 3))
    alone = Surrogate.fit(measured, values, ERRORS, NOBODY, HYPERPARAMETERS)
    model = Surrogate.fit(measured, values, ERRORS, pending, HYPERPARAMETERS)
    mean, deviation = model.predict(asked)
    before, was = alone.predict(asked)
    assert mean == pytest.approx(before)
    assert (deviation < was).all()


def test_each_objective_has_the_setting_that_suits_it(rng) -> None:
    """What is exact gets the least noise, luck the most, but the least where errors of measurement explain it."""
    points = rng.random((40, 3))
    measured = Inputs.at_end(points)
    exact, luck = points @ [1.0, 2.0, 0.5], rng.normal(size=40)
    assert choose(measured, exact, np.zeros(40)).noise == NOISES[0]
    assert choose(measured, luck, np.zeros(40)).noise == NOISES[-1]
    assert choose(measured, luck, np.ones(40)).noise == NOISES[0]
