"""What a study may vary: typed domains, conditions and bit-widths of layers, written as TOML.

    space = search_spaces.load("mixed_bits").resolve(["conv1", "conv2", "fc1", "fc2"])

The standard library is all this package needs.
"""

from search_spaces.bits import KINDS, WIDTHS, BitGroup, is_width, owners
from search_spaces.domains import Choice, Domain, Float, Int, Scalar
from search_spaces.reading import load, names, parse
from search_spaces.space import Point, Space
from search_spaces.target import Target, load_target, target_names
from study_common.errors import nearest, unknown

__all__ = [
    "KINDS",
    "WIDTHS",
    "BitGroup",
    "Choice",
    "Domain",
    "Float",
    "Int",
    "Point",
    "Scalar",
    "Space",
    "Target",
    "is_width",
    "load",
    "load_target",
    "names",
    "nearest",
    "owners",
    "parse",
    "target_names",
    "unknown",
]
