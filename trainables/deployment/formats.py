"""The formats of an export and their files. Plain names, so that listing them imports nothing."""

from study_common import layout

FILES = {
    "onnx": layout.ONNX_FILE,
    "lowbit": layout.LOW_BIT_FILE,
    "qonnx": layout.QONNX_FILE,
    "packed": layout.PACKED_FILE,
}
DEFAULT = ("onnx", "packed")
