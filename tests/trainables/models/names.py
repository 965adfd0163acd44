"""The models that go through every test: one of each kind. `test_torchvision.py` has the others."""

EACH_KIND = ("paper_cnn", "small_cnn", "resnet18", "mobilenet_v3_small", "efficientnet_b0")
