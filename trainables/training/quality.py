"""How well logits (n, classes) name the labels (n,): accuracy, macro sensitivity, specificity and AUROC, and confusion.

The values are those of torchmetrics, bit for bit, which the tests compare; importing it takes longer than an epoch.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def quality(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """The metrics by name: each class counts the same in a macro mean, and AUROC is one class against the rest.

    >>> quality(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 1, 1]))["sensitivity"]
    0.75
    """
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    found = confusion(logits, labels)
    hit = found.diag()
    missed, wrong = found.sum(1) - hit, found.sum(0) - hit
    rest = len(labels) - hit - missed - wrong
    seen = hit + missed + wrong > 0
    scores = logits.double().softmax(1)
    auroc = torch.stack([_auroc(score, labels == number) for number, score in enumerate(scores.T)])
    return {
        "accuracy": accuracy,
        "accuracy_se": math.sqrt(accuracy * (1 - accuracy) / len(labels)),
        "sensitivity": _macro(hit, hit + missed, seen),
        "specificity": _macro(rest, rest + wrong, seen),
        "auroc": auroc.mean().item(),
        "loss": F.cross_entropy(logits, labels).item(),
    }


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """How many images of each class, a row, were taken for each, a column: int64 (classes, classes).

    >>> confusion(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 1, 1])).tolist()
    [[1, 0], [1, 1]]
    """
    classes = logits.shape[1]
    return (labels * classes + logits.argmax(1)).bincount(minlength=classes**2).view(classes, classes)


def _macro(part: Tensor, whole: Tensor, seen: Tensor) -> float:
    """The mean of part / whole over the classes that were `seen` as a label or a prediction; 0 for an empty whole."""
    score = torch.where(whole > 0, part.float() / whole, 0.0)
    return (seen * score / seen.sum()).sum().item()


def _auroc(score: Tensor, positive: Tensor) -> Tensor:
    """The area under the ROC curve of scores (n,); equal scores are one point of it. 0 if a side of it is empty."""
    order = score.argsort(descending=True)
    ends = F.pad((score[order].diff() != 0).nonzero()[:, 0], (0, 1), value=len(score) - 1)
    hits = positive[order].cumsum(0)[ends]
    false = 1 + ends - hits
    rates = [F.pad(count, (1, 0)) / count[-1].clamp(min=1) for count in (hits, false)]
    return torch.trapezoid(*rates)
