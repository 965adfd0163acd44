"""Networks of a user: those that work, though unusual, and those that nobody should write."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.convnext import LayerNorm2d

MACS = 14 * 14 * 4 * 27 + 12 * 12 * 4 * 36 + 4 * 6 + 6 * 3
"""Of `Plain` for 3 classes of 16x16 images in colour, by hand."""
SAME = (14 * 14 - 12 * 12) * 4 * 36
"""What padding adds to that."""
NOT_A_MODEL = 7


class Plain(nn.Module):
    def __init__(self, channels: int, size: int, classes: int, padding: int | str = 0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4, 3)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=padding)
        self.fc1, self.fc2 = nn.Linear(4, 6), nn.Linear(6, classes)

    def maps(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(self.conv2(self.conv1(x)).mean((2, 3))))


def same(channels: int, size: int, classes: int) -> nn.Module:
    return Plain(channels, size, classes, padding="same")


class ManyNorms(Plain):
    """Biases before norms, a norm behind an activation in place, one behind a shared map, and one of a vector."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.conv3 = nn.Conv2d(4, 4, 1)
        self.bn4 = nn.BatchNorm1d(6)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.relu(self.conv2(x)))
        x = self.conv3(x)
        x = (self.bn3(x) + x).mean((2, 3))
        return self.fc2(self.bn4(self.fc1(x)))


class Parts(Plain):
    """What graphs have beside layers: pools of every padding, joined maps, norms in no layer, ReLU6."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.bn1, self.bn2 = nn.BatchNorm2d(4), nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding="same", groups=2)
        nn.init.normal_(self.conv2.weight)  # so that some values are above 6
        self.relu6, self.mean = nn.ReLU6(), nn.AvgPool2d(3, 2, padding=1)
        self.max = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.fc1, self.bn3 = nn.Linear(16, 6), nn.BatchNorm1d(6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu6(self.bn1(self.conv1(x)))
        x = torch.cat([self.mean(x), F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)], 1)
        x = self.max(torch.cat((F.relu6(self.conv2(F.relu(self.bn2(x)))), x), dim=1))
        x = F.adaptive_avg_pool2d(F.max_pool2d(x, 2, padding=1, ceil_mode=True), (1, 1)).flatten(1)
        return self.fc2(F.relu(self.bn3(self.fc1(x))))


class Reflecting(Plain):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")


class LayerNormed(Plain):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.norm = LayerNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(self.norm(self.maps(x)).mean((2, 3))))


class CalledTwice(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(self.conv2(self.maps(x)).mean((2, 3)))))


class FunctionOfAWeight(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.linear(self.maps(x).mean((2, 3)), self.fc1.weight, self.fc1.bias))


class ComputedWeight(Plain):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.fc1.weight / self.fc1.weight.norm()
        return self.fc2(
            self.fc1(self.maps(x).mean((2, 3))) + F.linear(x.mean((2, 3, 1))[:, None].expand(-1, 4), weight)
        )


class OwnProduct(Plain):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.table = nn.Parameter(torch.ones(classes, classes))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) @ self.table


class OnePixel(Plain):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.conv1, self.conv2 = nn.Conv2d(channels, 4, size), nn.Conv2d(4, 4, 1)


class KernelOnOnePixel(OnePixel):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)


class Transposed(Plain):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.up, self.row = nn.ConvTranspose2d(4, 4, 2), nn.GRUCell(4, 4)


class SharedWeight(Plain):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.fc1 = nn.Linear(4, 4)
        self.fc3 = nn.Linear(4, 4)
        self.fc3.weight = self.fc1.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.fc3(self.fc1(self.maps(x).mean((2, 3))))


class Lazy(Plain):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.fc1 = nn.LazyLinear(6)


class NothingToQuantise(nn.Module):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(classes))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))[:, None] * self.scale


class OneLogitTooMany(Plain):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes + 1)


class AuxiliaryOutput(Plain):
    """In training alone, as GoogLeNet."""

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        logits = super().forward(x)
        return (logits, logits) if self.training else logits


_ONE = Plain(3, 16, 3)


def one_for_all(channels: int, size: int, classes: int) -> nn.Module:
    return _ONE


def compiled(channels: int, size: int, classes: int) -> nn.Module:
    return torch.compile(Plain(channels, size, classes))


def frozen(channels: int, size: int, classes: int) -> nn.Module:
    model = Plain(channels, size, classes)
    model.conv2.requires_grad_(False)
    return model


class OwnNames(Plain):
    """Parameters with the names of a quantiser's, and frozen ones."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.gate = nn.Module()
        self.gate.alpha = nn.Parameter(torch.ones(4, 1, 1))
        self.gate.log_step = nn.Parameter(torch.zeros(4, 1, 1), requires_grad=False)
        self.conv1.bias.requires_grad_(False)

    def maps(self, x: Tensor) -> Tensor:
        return super().maps(x) * self.gate.alpha + self.gate.log_step

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(self.maps(x).mean((2, 3))))


class Epsilon(Plain):
    epsilon = 1e-5


class Probabilities(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(1)


class DividesByZero(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / (x - x).mean()


class NeverAlone(Plain):
    def forward(self, x: Tensor) -> Tensor:
        assert len(x) > 1, "no company"
        return super().forward(x)


class BatchStatistics(ManyNorms):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.bn1 = nn.BatchNorm2d(4, track_running_stats=False)


class BlindToImages(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.zeros_like(x))


class View(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(self.maps(x).view(len(x), -1)[:, :4]))


class HardSigmoidCall(Plain):
    """A function whose gradient PyTorch cannot differentiate again."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(channels, size, classes)
        self.act = Once()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(self.act(self.maps(x)).mean((2, 3))))


class Once(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.hardsigmoid(x)


class LayersBySize(nn.Module):
    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        self.add_module(f"fc{size}", nn.Linear(channels, classes))

    def forward(self, x: Tensor) -> Tensor:
        return next(self.children())(x.mean((2, 3)))


class OtherArguments(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()


def no_module(channels: int, size: int, classes: int) -> str:
    return "a network"


def script(channels: int, size: int, classes: int) -> nn.Module:
    raise SystemExit(3)


def broken(channels: int, size: int, classes: int) -> nn.Module:
    return nn.Linear(1 // (size - size), classes)
