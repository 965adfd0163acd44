"""What a planted oracle scores: models that read one known window of the image, and nothing else."""

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.benchmarks.reliability.scores import answers
from trainables.saliency.controls import CONTROLS
from trainables.saliency.faithfulness import FRACTIONS, predict
from trainables.saliency.removal import REMOVALS
from trainables.training.config import Config
from trainables.training.evaluation import background_of, choose
from trainables.training.inputs import data_of, scale_of

SIDE = 10
CORNERS = ((0, 9), (5, 5), (9, 9), (13, 5), (18, 9))
"""The upper left corners of the windows: from the border of a garment to its middle."""
IMAGES = 100


class WindowReader(nn.Module):
    """A softmax regression on the pixels of a window, fitted to the training images."""

    def __init__(self, X: Tensor, y: Tensor, corner: tuple[int, int]) -> None:
        super().__init__()
        self.rows, self.columns = (slice(start, start + SIDE) for start in corner)
        self.linear = nn.Linear(SIDE * SIDE * X.shape[1], int(y.max()) + 1)
        optimizer = torch.optim.LBFGS(self.linear.parameters(), max_iter=50)

        def loss() -> Tensor:
            optimizer.zero_grad()
            value = F.cross_entropy(self(X), y)
            value.backward()
            return value

        optimizer.step(loss)

    def forward(self, X: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.linear(X[:, :, self.rows, self.columns].flatten(1))


def margins() -> pd.DataFrame:
    """The oracle's score above the better of the random and the edge map: by removal, hard and soft."""
    data = data_of(Config.parse({}))
    scale = scale_of(data, torch.device("cpu"))
    X, background = scale(choose(data.validation, IMAGES).images), background_of(data, scale)
    found = []
    for corner in CORNERS:
        torch.manual_seed(0)
        model = WindowReader(scale(data.train.images[:2000]), data.train.labels[:2000], corner).eval()
        oracle = torch.zeros(IMAGES, *X.shape[2:])
        oracle[:, model.rows, model.columns] = 1
        maps = {"oracle": oracle, **{name: CONTROLS[name](X, background) for name in ("random", "edge")}}
        predicted = predict(model, X)
        for name, removal in REMOVALS.items():
            scores = {
                who: answers(model, X, predicted, of, removal, background, FRACTIONS)
                for who, of in maps.items()
            }
            for kind in ("hard", "soft"):
                value = {who: score[kind].mean().item() for who, score in scores.items()}
                margin = value["oracle"] - max(value["random"], value["edge"])
                found.append({"removal": name, "kind": kind, "margin": margin})
    return pd.DataFrame(found).pivot_table(index="removal", columns="kind", values="margin")
