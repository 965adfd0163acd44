"""The models that go through every test: one of each kind. `test_torchvision.py` has the others."""

OF_TORCHVISION = ("resnet18", "mobilenet_v3_small", "efficientnet_b0")
EACH_KIND = ("paper_cnn", "tiny_cnn", "small_cnn", *OF_TORCHVISION)
