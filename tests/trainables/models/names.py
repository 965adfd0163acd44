"""The models that go through every test: one of each kind. `test_torchvision.py` has the others."""

OF_TORCHVISION = ("resnet18", "mobilenet_v3_small", "efficientnet_b0")
IN_EVERY_FORMAT = (
    *OF_TORCHVISION, "resnet34", "resnet50", "resnext50_32x4d", "mobilenet_v3_large", "efficientnet_b1",
    "efficientnet_v2_s", "mnasnet0_5", "mnasnet1_0", "regnet_x_400mf", "regnet_y_400mf", "mobilenet_v2",
    "squeezenet1_1", "densenet121", "googlenet",
)  # fmt: skip
"""Those of torchvision whose graph can be written as ONNX; the others are exported as `packed` only."""
EACH_KIND = ("paper_cnn", "tiny_cnn", "small_cnn", *OF_TORCHVISION)
