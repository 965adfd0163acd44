"""What every trial of a study reads: images, their masks, pretrained weights. It stays what it was at the launch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from study_common import digests
from study_common.errors import LinkError, UserError
from trainables import Config, dataset_facts

REMEDY = "restore what was there, or launch a new study"


@contextmanager
def told_to_restore() -> Iterator[None]:
    """Give what cannot be used this remedy: that of a launch, such as a flag, is none for a study that has begun."""
    try:
        yield
    except LinkError:
        raise
    except UserError as error:
        reason = str(error).split("; ")[0]
        raise UserError(f"{reason}{')' * (reason.count('(') - reason.count(')'))}; {REMEDY}") from None


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
        self.check_weights(config)
        self.check_images(config)

    def check_images(self, config: Config) -> None:
        """Check the images and their masks alone, which are read once per process; errors as `check`."""
        with told_to_restore():
            found = dataset_facts(config)
        labels = f" with {config.labels}" if config.labels else ""
        _compare(f"{config.data_dir or config.dataset}{labels}", "images", found.fingerprint, self.images)
        if config.masks:
            _compare(config.masks, "masks", found.masks, self.masks)

    def check_weights(self, config: Config) -> None:
        """Check the pretrained weights alone, whose file is read each time; errors as `check`."""
        if config.pretrained:
            with told_to_restore():
                found = _digest(Path(config.pretrained))
            _compare(config.pretrained, "weights", found, self.weights)


def _compare(place: str, what: str, found: str, known: str) -> None:
    if found != known:
        raise UserError(f"{place} does not hold the {what} with which the study began; {REMEDY}")


def _digest(weights: Path) -> str:
    """Return the digest of a file of weights; "" for published ones, which are known by a name, and for none."""
    try:
        return digests.of(weights) if weights.is_absolute() and weights.is_file() else ""
    except OSError as error:
        raise UserError(f"{weights} cannot be read ({error.strerror}); give another file") from None
