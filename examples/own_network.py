"""A network of one's own, for `--model own_network:OwnNetwork`: see own_model.py."""

from torch import Tensor, nn


class OwnNetwork(nn.Module):
    """Two convolutions and a linear layer, built for the images of the data set."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip
        self.classifier = nn.Linear(16, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, size, size)."""
        logits: Tensor = self.classifier(self.features(images).flatten(1))
        return logits
