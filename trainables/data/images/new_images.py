"""Images that are in no data set, brought to what a model was trained on: the same size, channels and levels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study_common.errors import UserError
from trainables.data.images.decoding import fit, is_deep, read, to_8_bits
from trainables.data.images.preparation import Preparation


@dataclass(frozen=True, kw_only=True)
class NewImages:
    """How the images of a model were prepared."""

    preparation: Preparation
    channels: int
    """1 or 3."""
    depth: int
    """The bits that count of its 16-bit files, 0 if it had none."""

    def read(self, path: Path) -> np.ndarray:
        """Return an image file as uint8 (channels, size, size).

        Raises:
            UserError: It cannot be read, or its pixels have no meaning for the model: more bits, or colour for a model
                of grey images.
        """
        try:
            return self._pixels(path)
        except Exception as error:  # a damaged file can make its decoder raise anything
            said = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{path} cannot be used: {said}") from None

    def _pixels(self, path: Path) -> np.ndarray:
        size = self.preparation.image_size
        image = read(path, size)
        if is_deep(image):
            if np.asarray(image).max(initial=0) >= 2**self.depth:
                trained = f"{self.depth} bits" if self.depth else "8 bits"
                raise UserError(
                    f"it has more than the {trained} of the training images; bring it to their levels"
                )
            image = to_8_bits(image, self.depth)
        pixels = fit(image, size, resize=self.preparation.resize, crop_border=self.preparation.crop_border)
        if self.channels == 3:
            return pixels
        if not ((pixels[0] == pixels[1]) & (pixels[1] == pixels[2])).all():
            raise UserError("it is in colour and the model was trained on grey images; convert it to grey")
        return pixels[:1]
