"""The names that a setting of a training run can have: plain tuples, so that listing them imports nothing heavy.

The module that carries a choice out takes its names from here.
"""

TORCHVISION = ("resnet18", "mobilenet_v3_small", "efficientnet_b0")
"""The models of torchvision; the only ones with pretrained weights."""
MODELS = ("paper_cnn", "small_cnn", *TORCHVISION)
DATASETS = ("fashion_mnist_small", "mnist", "fashion_mnist", "medmnist", "kvasir", "folder", "csv")
ON_BAD_IMAGE = ("refuse", "skip")
AUGMENTATIONS = ("shift", "flip_h", "flip_v", "rotate", "color")
"""The changes that training may make to images, in the order in which it makes them."""
AUGMENTATION_SETS = {"upright": ("shift", "rotate"), "endoscopy": ("flip_h", "flip_v", "rotate", "color")}
"""Names for several of them: for X-rays and scans that have an up, a left and a meaning of grey, and for endoscopy."""
RESIZE = ("squash", "pad", "crop")
"""How a picture becomes a square: squeezed, with black bars, or without what is left over at its longer side."""
ATTRIBUTIONS = ("gradient", "smooth_grad", "integrated_gradients", "grad_cam")
WEIGHT_QUANTISERS = ("lsq", "affine")
ALPHA_STARTS = ("init", "percentile", "mse")

CHOICES: dict[str, tuple[str, ...]] = {
    "dataset": DATASETS,
    "model": MODELS,
    "on_bad_image": ON_BAD_IMAGE,
    "resize": RESIZE,
    "balance": ("none", "loss"),
    "optimizer": ("adam", "sgd"),
    "schedule": ("cosine", "constant"),
    "precision": ("auto", "bfloat16", "float32"),
    "alpha_norm": ("l1", "squared"),
    "mask": ("ratio", "threshold"),
    "saliency": ("loss", "label_logit", "predicted_logit"),
    "fill": ("uniform", "zero", "mean"),
    "attribution": ATTRIBUTIONS,
    "weight_quantiser": WEIGHT_QUANTISERS,
    "alpha_start": ALPHA_STARTS,
}
"""For each setting with a fixed list of values, that list."""
