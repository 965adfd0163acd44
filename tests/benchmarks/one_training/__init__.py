"""One training of all widths against trainings of each: the recordings, and what they say."""
