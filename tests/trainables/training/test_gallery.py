"""`saliency.npz`: what the report draws, on a model of a few training steps."""

import numpy as np
import torch

from study_common import layout
from trainables.training import gallery
from trainables.training.config import Config
from trainables.training.evaluation import choose
from trainables.training.network import load_checkpoint
from trainables.training.run import Run, epochs


def test_the_gallery_is_what_results_draws(trained):
    with np.load(trained[0] / layout.SALIENCY_FILE, allow_pickle=False) as arrays:
        images, labels, predictions, maps, names = (
            arrays[name] for name in ("images", "labels", "predictions", "maps", "class_names")
        )
    assert (images.dtype, images.shape) == (np.uint8, (gallery.IMAGES, 28, 28))
    assert (maps.dtype, maps.shape) == (np.float16, (gallery.IMAGES, 28, 28))
    assert set(labels) == set(range(10))
    assert names[9] == "Ankle boot"
    assert (maps.min(), maps.max()) == (0, 1)

    model, config, _ = load_checkpoint(trained[0] / layout.CHECKPOINT_FILE)
    run = Run(config)
    chosen = choose(run.data.validation, gallery.IMAGES)
    assert np.array_equal(chosen.images[:, 0].numpy(), images)
    X = run.scale(chosen.images).requires_grad_()
    logits = model(X)
    assert np.array_equal(logits.argmax(1).numpy(), predictions)
    logits.amax(1).sum().backward()
    size = X.grad.abs()[:, 0]
    torch.testing.assert_close(
        torch.tensor(maps).float(), size / size.amax((1, 2), keepdim=True), atol=1e-3, rtol=1e-3
    )


def test_colour_images_and_fewer_than_asked(settings, tmp_path):
    *_, last = epochs(Config.parse(settings))
    last.save(tmp_path)
    validation = 12
    assert last.metrics["faithfulness_images"] == validation
    with np.load(tmp_path / layout.SALIENCY_FILE) as arrays:
        assert arrays["images"].shape == (validation, 16, 16, 3)
        assert arrays["maps"].shape == (validation, 16, 16)
        assert sorted(arrays["labels"]) == [0] * 4 + [1] * 4 + [2] * 4
        assert len(arrays["curve_kept"]) == 18  # three orders, whole and five fractions
