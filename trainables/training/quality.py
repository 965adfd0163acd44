"""How well logits (n, classes) name the labels (n,): accuracy, macro sensitivity, specificity and AUROC, and confusion.

The metrics are torchmetrics', which is imported when a run measures first: its import takes a second.
"""

import math

import torch.nn.functional as F
from torch import Tensor


def quality(logits: Tensor, labels: Tensor, positive: int | None = None) -> dict[str, float]:
    """The metrics by name: each class counts the same in a macro mean, and AUROC is one class against the rest.

    Of two classes, with means over both, sensitivity and specificity are equal. If one is `positive`, they are its own.

    >>> import torch
    >>> quality(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 1, 1]))["sensitivity"]
    0.75
    """
    from torchmetrics.functional import classification

    classes = logits.shape[1]
    recall, rejection = (
        measure(logits, labels, classes, average="macro")
        if positive is None
        else measure(logits, labels, classes, average="none")[positive]
        for measure in (classification.multiclass_recall, classification.multiclass_specificity)
    )
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    return {
        "accuracy": accuracy,
        "accuracy_se": math.sqrt(accuracy * (1 - accuracy) / len(labels)),
        "sensitivity": recall.item(),
        "specificity": rejection.item(),
        "auroc": classification.multiclass_auroc(logits.double().softmax(1), labels, classes).item(),
        "loss": F.cross_entropy(logits, labels).item(),
    }


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """How many images of each class, a row, were taken for each, a column: int64 (classes, classes).

    >>> import torch
    >>> confusion(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 1, 1])).tolist()
    [[1, 0], [1, 1]]
    """
    from torchmetrics.functional import classification

    return classification.multiclass_confusion_matrix(logits, labels, logits.shape[1])
