"""How the files of a folder become a data set of images of one size."""

from dataclasses import dataclass

from study_common.errors import UserError, unknown
from trainables.choices import ON_BAD_IMAGE, RESIZE
from trainables.data.listing.groups import compiled


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """The choices of the user, for data sets that are folders of images."""

    image_size: int = 64
    """Height and width of the images in pixels, 8 to 1024."""
    on_bad_image: str = "refuse"
    """What to do if files cannot be used: "refuse" the folder, or "skip" the files."""
    crop_border: bool = False
    """Cut off the black border that endoscopes leave, with what they write there."""
    resize: str = "squash"
    """How a picture becomes a square, one of `choices.RESIZE`."""
    labels: str = ""
    """The CSV file of paths and classes of the data set `csv`."""
    group: str = ""
    """A pattern that finds the group of an image in its path; "" for images on their own."""
    group_near_duplicates: bool = False
    """Keep pictures that look alike in one part of the split."""

    def __post_init__(self) -> None:
        if not 8 <= self.image_size <= 1024:
            raise UserError(f"image_size must be 8 to 1024 pixels, not {self.image_size}")
        if self.on_bad_image not in ON_BAD_IMAGE:
            raise unknown("on_bad_image", self.on_bad_image, ON_BAD_IMAGE)
        if self.resize not in RESIZE:
            raise unknown("resize", self.resize, RESIZE)
        if self.group:
            compiled(self.group)

    def cache_name(self, fingerprint: str) -> str:
        """Name the cache folder of the images of that fingerprint; what the cache depends on is in the name."""
        words = [fingerprint, str(self.image_size)]
        words += ["cropped"] * self.crop_border + [self.resize] * (self.resize != "squash")
        return "-".join(words + ["apart"] * self.group_near_duplicates)
