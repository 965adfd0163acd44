"""Each removal: what it puts in, what it leaves, and that nothing but the image itself decides it."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from results.analysis import doubts
from study_common.errors import UserError
from trainables.saliency.removal import (
    BLUR,
    REMOVALS,
    ROAD_NOISE,
    Background,
    Sources,
    blurred,
    check_size,
    seeds_of,
)


def images(n, shape=(3, 16, 12), seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


BACKGROUND = Background(
    black=torch.tensor([-2.0, -1.5, -1.0]).view(1, 3, 1, 1),
    white=torch.tensor([2.0, 1.5, 3.0]).view(1, 3, 1, 1),
    donors=images(7, seed=9),
)


def removed_by(name, X, removed, draw=0):
    sources = Sources(background=BACKGROUND, seeds=[seed + draw for seed in seeds_of(X)])
    return REMOVALS[name](X, removed, sources)


def some(X, seed=1):
    return torch.rand(len(X), 1, *X.shape[2:], generator=torch.Generator().manual_seed(seed)) < 0.4


@pytest.mark.parametrize("name", REMOVALS)
def test_only_removed_pixels_change_and_the_images_given_stay_as_they_were(name):
    X, before = images(5), images(5)
    removed = some(X)
    found = removed_by(name, X, removed)
    assert torch.equal(X, before)
    kept = ~removed.expand_as(X)
    assert torch.equal(found[kept], X[kept])
    assert (found[~kept] != X[~kept]).float().mean() > 0.99
    assert torch.equal(removed_by(name, X, torch.zeros_like(removed)), X)


@pytest.mark.parametrize("name", REMOVALS)
def test_neither_company_nor_place_in_the_batch_decides_what_a_pixel_becomes(name):
    X = images(6)
    removed = some(X)
    found = removed_by(name, X, removed)
    for pick in ([3], [5, 3, 0]):
        torch.testing.assert_close(removed_by(name, X[pick], removed[pick]), found[pick], atol=5e-3, rtol=0)


@pytest.mark.parametrize("name", REMOVALS)
def test_of_an_image_removed_whole_nothing_is_left(name):
    """Two images of one seed become the same, but for `blur`, which keeps the coarse structure by design."""
    X = images(2)
    everything = torch.ones(2, 1, 16, 12, dtype=torch.bool)
    sources = Sources(background=BACKGROUND, seeds=[5, 5])
    first, second = REMOVALS[name](X, everything, sources)
    assert torch.equal(first, second) is (name != "blur")


def test_values_are_those_that_the_names_say():
    X = images(4)
    removed = some(X)
    gone = removed.expand_as(X)
    assert (removed_by("mean", X, removed)[gone] == 0).all()
    assert torch.equal(removed_by("black", X, removed)[gone], BACKGROUND.black.expand_as(X)[gone])
    for image, found, holes in zip(X, removed_by("other_image", X, removed), gone, strict=True):
        matches = [torch.equal(donor[holes], found[holes]) for donor in BACKGROUND.donors]
        assert sum(matches) == 1
        assert not torch.equal(image[holes], found[holes])


def test_uniform_values_fill_the_range_from_black_to_white():
    X = images(40)
    found = removed_by("uniform", X, torch.ones(40, 1, 16, 12, dtype=torch.bool))
    share = (
        ((found - BACKGROUND.black) / (BACKGROUND.white - BACKGROUND.black)).permute(1, 0, 2, 3).flatten(1)
    )
    assert share.min() >= 0
    assert share.max() <= 1
    for channel in share:
        assert channel.mean().item() == pytest.approx(0.5, abs=0.01)
        assert channel.std().item() == pytest.approx(12**-0.5, abs=0.01)


def test_every_draw_brings_another_image_and_other_noise():
    X = images(30)
    removed = torch.ones(30, 1, 16, 12, dtype=torch.bool)
    for name in ("other_image", "uniform", "road"):
        first, second = (removed_by(name, X, removed, draw) for draw in (0, 1))
        changed = (first != second).flatten(1).any(1).float().mean()
        assert changed > 0.7  # one of seven donors comes twice in a row now and then


def test_road_is_the_imputation_and_noise_of_the_stated_size():
    X = torch.zeros(200, 3, 16, 12)
    X += torch.arange(200).view(-1, 1, 1, 1)  # constant images: the imputation is the constant
    removed = some(X)
    noise = (removed_by("road", X, removed) - X).permute(1, 0, 2, 3)[:, removed[:, 0]]
    for values, size in zip(noise, (BACKGROUND.white - BACKGROUND.black).flatten(), strict=True):
        assert values.std().item() == pytest.approx(
            ROAD_NOISE * size.item(), rel=0.15
        )  # with the solver's error


def test_blur_is_that_of_scipy():
    X = images(2, (2, 20, 24))
    ours = blurred(X).numpy()
    sigma = BLUR * 20
    theirs = gaussian_filter(
        X.numpy().astype(float), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, *[round(3 * sigma)] * 2)
    )
    assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.parametrize("side", [4, 5, 8])
@pytest.mark.parametrize("name", REMOVALS)
def test_the_smallest_images_can_be_removed_from(name, side):
    X = images(3, (3, side, side))
    background = Background(
        black=BACKGROUND.black, white=BACKGROUND.white, donors=images(2, (3, side, side), 4)
    )
    check_size(X)
    found = REMOVALS[name](X, some(X), Sources(background=background, seeds=seeds_of(X)))
    assert found.isfinite().all()


def test_images_that_are_too_small_are_refused_with_the_remedy():
    with pytest.raises(
        UserError, match=r"images of 3x9 pixels are too small .* use images of 4x4 pixels or more"
    ):
        check_size(images(1, (3, 3, 9)))


def test_the_analysis_knows_the_removals() -> None:
    """It names them without importing torch."""
    assert set(doubts.REMOVALS) == set(REMOVALS)
