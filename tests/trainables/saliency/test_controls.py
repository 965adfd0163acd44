"""Control maps against scipy, and that none of them knows a model or other images."""

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel

from trainables.saliency.controls import CONTROLS, edge
from trainables.saliency.removal import Background, blurred

BACKGROUND = Background(black=torch.tensor(-1.0), white=torch.tensor(2.0), donors=torch.zeros(1, 2, 14, 10))


def images(n, seed=0):
    return torch.randn(n, 2, 14, 10, generator=torch.Generator().manual_seed(seed))


def test_the_edge_map_is_the_sobel_magnitude_of_the_steepest_channel():
    X = images(3)
    steep = [
        [np.hypot(sobel(channel, 0, mode="nearest"), sobel(channel, 1, mode="nearest")) for channel in image]
        for image in X.double().numpy()
    ]
    expected = np.max(steep, axis=1)
    assert np.abs(edge(X, BACKGROUND).numpy() - expected).max() < 1e-5


def test_the_blurred_image_is_brightness_above_black():
    X = images(3)
    found = CONTROLS["blurred_image"](X, BACKGROUND)
    torch.testing.assert_close(found, blurred(X + 1).amax(1))


@pytest.mark.parametrize("name", CONTROLS)
def test_the_map_of_an_image_does_not_depend_on_the_images_beside_it(name):
    X = images(6)
    found = CONTROLS[name](X, BACKGROUND)
    assert found.shape == (6, 14, 10)
    torch.testing.assert_close(CONTROLS[name](X[[4, 1]], BACKGROUND), found[[4, 1]])


def test_random_maps_differ_from_image_to_image():
    first, second = CONTROLS["random"](images(2), BACKGROUND).flatten(1)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.3
