"""The names that a setting of a training run can have: plain tuples, so that listing them imports nothing heavy.

The module that carries a choice out takes its names from here.
"""

TORCHVISION = (
    "resnet18", "resnet34", "resnet50", "resnext50_32x4d", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large",
    "efficientnet_b0", "efficientnet_b1", "efficientnet_v2_s", "mnasnet0_5", "mnasnet1_0", "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0", "squeezenet1_1", "regnet_x_400mf", "regnet_y_400mf", "densenet121", "googlenet",
    "convnext_tiny",
)  # fmt: skip
"""The models of torchvision."""
MODELS = ("paper_cnn", "tiny_cnn", "small_cnn", *TORCHVISION)
"""The models that have a name of their own; `is_own_model` says what else names one."""
TIMM = "timm/"
"""What stands before the name of a model of the package timm."""
MODEL_FORMS = (*MODELS, f"{TIMM}NAME", "PACKAGE.MODULE:CALLABLE")
"""What can be written for a model."""
DATASETS = ("fashion_mnist_small", "mnist", "fashion_mnist", "medmnist", "kvasir", "folder", "csv")
ON_BAD_IMAGE = ("refuse", "skip")
AUGMENTATIONS = ("shift", "flip_h", "flip_v", "rotate", "color")
"""The changes that training may make to images, in the order in which it makes them."""
AUGMENTATION_SETS = {"upright": ("shift", "rotate"), "endoscopy": ("flip_h", "flip_v", "rotate", "color")}
"""Names for several of them: for X-rays and scans that have an up, a left and a meaning of grey, and for endoscopy."""
RESIZE = ("squash", "pad", "crop")
"""How a picture becomes a square: squeezed, with black bars, or without what is left over at its longer side."""
ATTRIBUTIONS = ("gradient", "smooth_grad", "integrated_gradients", "grad_cam")
WEIGHT_QUANTISERS = ("lsq", "lsq_integer", "affine")
ALPHA_STARTS = ("init", "percentile", "mse")

CHOICES: dict[str, tuple[str, ...]] = {
    "dataset": DATASETS,
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


def is_own_model(name: str) -> bool:
    """Tell whether a model is the user's (`package.module:callable`) or one of timm (`timm/NAME`).

    >>> is_own_model("mypackage.nets:make"), is_own_model("timm/resnet10t"), is_own_model("resnet18")
    (True, True, False)
    """
    return ":" in name or name.startswith(TIMM)
