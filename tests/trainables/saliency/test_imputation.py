"""Linear imputation against a direct sparse solve, a closed form and Quantus."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from trainables.saliency.imputation import impute


def direct(image, missing):
    """The system of equations, solved without iteration: `image` (C, H, W), `missing` (H, W), at least one known."""
    channels, height, width = image.shape
    places = np.argwhere(missing)
    number = {tuple(place): i for i, place in enumerate(places)}
    left, right = lil_matrix((len(places), len(places))), np.zeros((len(places), channels))
    for i, (y, x) in enumerate(places):
        for dy, dx in [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]:
            at = (y + dy, x + dx)
            if not (0 <= at[0] < height and 0 <= at[1] < width):
                continue
            weight = 1 / 6 if 0 in (dy, dx) else 1 / 12
            left[i, i] += weight
            if at in number:
                left[i, number[at]] -= weight
            else:
                right[i] += weight * image[:, at[0], at[1]]
    filled = image.copy()
    filled[:, missing] = spsolve(left.tocsc(), right).reshape(len(places), channels).T
    return filled


def case(share, *, n=4, shape=(3, 13, 17), seed=0, smooth=False):
    """Random images, and masks that lack `share` of the pixels: scattered, or in one piece."""
    generator = torch.Generator().manual_seed(seed)
    X = 3 * torch.randn(n, *shape, generator=generator)
    order = torch.rand(n, *shape[1:], generator=generator)
    if smooth:
        across = torch.linspace(0, 1, shape[2]).expand(n, *shape[1:])
        order = across + 0.01 * order
    missing = order.flatten(1).argsort(1).argsort(1).view_as(order) < round(share * order[0].numel())
    return X, missing[:, None]


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_equals_the_direct_solve(share, smooth):
    X, missing = case(share, smooth=smooth)
    found = impute(X, missing).numpy()
    for image, holes, filled in zip(X, missing, found, strict=True):
        expected = direct(image.double().numpy(), holes[0].numpy())
        assert np.abs(filled - expected).max() < 0.005 * (image.max() - image.min()).item()
    known = ~missing.expand_as(X)
    assert torch.equal(torch.from_numpy(found)[known], X[known])


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_filled_pixels_stay_between_the_known_ones_and_do_not_depend_on_what_was_there(seed, share):
    X, missing = case(share, n=2, shape=(1, 6, 5), seed=seed)
    found = impute(X, missing)
    assert found.isfinite().all()
    torch.testing.assert_close(impute(torch.where(missing, 1e6, X), missing), found)
    for image, holes, filled in zip(X, missing, found, strict=True):
        known = image[~holes]
        if len(known):
            assert known.min() - 0.05 <= filled.min()
            assert filled.max() <= known.max() + 0.05
        else:
            assert (filled == 0).all()


def test_a_ramp_is_continued_straight():
    """Between two known columns of values 0 and 10 the harmonic function is linear."""
    X = torch.linspace(0, 10, 11).expand(1, 1, 8, 11).clone()
    missing = torch.ones(1, 1, 8, 11, dtype=torch.bool)
    missing[..., [0, 10]] = False
    torch.testing.assert_close(impute(torch.where(missing, 99.0, X), missing), X, atol=0.01, rtol=0)


def test_each_image_is_solved_as_if_alone():
    X, missing = case(0.8)
    together = impute(X, missing)
    alone = torch.cat([impute(X[i : i + 1], missing[i : i + 1]) for i in range(len(X))])
    torch.testing.assert_close(together, alone, atol=0.02, rtol=0)


def test_equals_the_noisy_linear_imputation_of_quantus_without_the_noise():
    perturbations = pytest.importorskip("quantus.functions.perturb_func")
    X, missing = case(0.6)
    found = impute(X, missing).numpy()
    for image, holes, filled in zip(X, missing, found, strict=True):
        theirs = perturbations.noisy_linear_imputation(
            image.double().numpy(), np.flatnonzero(holes[0].numpy()), noise=0.0
        )
        assert np.abs(filled - theirs).max() < 0.005 * (image.max() - image.min()).item()
