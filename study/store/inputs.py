"""What every trial of a study reads: images, their masks, pretrained weights. It stays what it was at the launch."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from study_common import digests
from study_common.errors import UserError
from trainables import Config, dataset_facts


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The digests of what a configuration reads, "" for what it does not read from a file."""

    images: str
    masks: str
    weights: str

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return those of what is there now; images and masks are read once per process.

        Raises:
            UserError: Something cannot be used.
        """
        facts, weights = dataset_facts(config), Path(config.pretrained)
        is_file = weights.is_absolute() and weights.is_file()  # else they are published, and known by a name
        return cls(
            images=facts.fingerprint, masks=facts.masks, weights=digests.of(weights) if is_file else ""
        )

    def check(self, config: Config) -> None:
        """Check that what is there now is this.

        Raises:
            UserError: Something cannot be used, or is not what it was.
        """
        found = Inputs.of(config)
        places = {
            "images": config.data_dir or config.dataset,
            "masks": config.masks,
            "weights": config.pretrained,
        }
        for what in (field.name for field in fields(self)):
            if getattr(found, what) != getattr(self, what):
                raise UserError(
                    f"{places[what]} does not hold the {what} with which the study began; restore them, or launch a "
                    "new study"
                )
