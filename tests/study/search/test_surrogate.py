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


def conditioned(pairs, values, asked, hyperparameters):
    """Return mean and standard deviation of `asked` (k, d) after the last epoch, given values at (x, e) pairs."""
    mean, deviation = values.mean(), values.std()
    k = np.array([[covariance(*p, *q, hyperparameters.length_scale) for q in pairs] for p in pairs])
    inverse = np.linalg.inv(k + hyperparameters.noise * np.eye(len(k)))
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


def test_it_is_a_gaussian_conditioned_on_what_was_measured(rng, measured, values) -> None:
    """To rounding."""
    asked = rng.random((4, 3))
    pairs = [(measured.points[row], e) for row, e in zip(measured.rows, measured.fidelities, strict=True)]
    expected = conditioned(pairs, values, asked, HYPERPARAMETERS)
    assert Surrogate.fit(measured, values, NOBODY, HYPERPARAMETERS).predict(asked) == pytest.approx(expected)


def test_pending_configurations_are_believed(rng, measured, values) -> None:
    """They are to measure the mean, so they leave it as it is everywhere and take variance away."""
    asked, pending = rng.random((4, 3)), rng.random((2, 3))
    alone = Surrogate.fit(measured, values, NOBODY, HYPERPARAMETERS)
    model = Surrogate.fit(measured, values, pending, HYPERPARAMETERS)
    assert model.beliefs == pytest.approx(alone.predict(pending)[0])
    mean, deviation = model.predict(asked)
    before, was = alone.predict(asked)
    assert mean == pytest.approx(before)
    assert (deviation < was).all()


def test_each_objective_has_the_setting_that_suits_it(rng) -> None:
    """A cost that is known exactly gets the least noise, and one of noise only the most."""
    points = rng.random((40, 3))
    cost, luck = points @ [1.0, 2.0, 0.5], rng.normal(size=40)
    settings = choose(Inputs.at_end(points), np.column_stack([cost, luck]))
    assert [hyperparameters.noise for hyperparameters in settings] == [NOISES[0], NOISES[-1]]
    assert [choose(Inputs.at_end(points), column[:, None])[0] for column in (cost, luck)] == settings
