"""What every trial of a study reads: images, their masks, pretrained weights. It stays what it was at the launch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from study_common import digests
from study_common.errors import LinkError, UserError
from trainables import Config, dataset_facts

REMEDY = "restore them, or launch a new study"


@contextmanager
def told_to_restore() -> Iterator[None]:
    """Give what cannot be used this remedy: that of a launch, such as a flag, is none for a study that has begun."""
    try:
        yield
    except LinkError:
        raise
    except UserError as error:
        raise UserError(f"{str(error).rsplit('; ', 1)[0]}; {REMEDY}") from None


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The digests of what the runs of a study read, "" for what they do not read from a file."""

    images: str
    masks: str
    weights: str

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return those of what is there now; images and masks are read once per process.

        Raises:
            UserError: Something cannot be used.
        """
        facts = dataset_facts(config)
        return cls(images=facts.fingerprint, masks=facts.masks, weights=_digest(Path(config.pretrained)))

    def check(self, config: Config) -> None:
        """Check that what a configuration of the study reads is this; a float model reads no masks.

        Raises:
            UserError: Something cannot be used, or is not what it was.
        """
        with told_to_restore():
            found = Inputs.of(config)
        images = config.data_dir or config.dataset
        labels = f" with {config.labels}" if config.labels else ""
        places = {"images": f"{images}{labels}", "masks": config.masks, "weights": config.pretrained}
        for what in (field.name for field in fields(self)):
            if places[what] and getattr(found, what) != getattr(self, what):
                raise UserError(
                    f"{places[what]} does not hold the {what} with which the study began; {REMEDY}"
                )


def _digest(weights: Path) -> str:
    """Return the digest of a file of weights; "" for published ones, which are known by a name, and for none."""
    try:
        return digests.of(weights) if weights.is_absolute() and weights.is_file() else ""
    except OSError as error:
        raise UserError(f"{weights} cannot be read ({error.strerror}); give another file") from None
