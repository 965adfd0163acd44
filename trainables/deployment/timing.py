"""How fast exported models are: warmed up, in turns, on a stated number of threads."""

import math
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from study_common.errors import UserError
from trainables.deployment import runtime

REMEDY = "name models that python -m trainables.export wrote"
WARM_UP = 10
BATCH = 32
"""Images at a time when throughput is measured."""
MAX_BYTES = 2**31
"""What an ONNX file has at most, as every protocol buffer."""
MAX_VALUES = 2**24
"""Values of an image up to which a model is timed: 2,300 pixels square in colour."""
TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
"""Types of images."""
MEMORY = """
import pathlib, re, resource, sys
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
model = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
given = model.get_inputs()[0]
kind = numpy.uint8 if given.type == "tensor(uint8)" else numpy.float32
for _ in range(5):
    model.run(None, {given.name: numpy.zeros((1, *given.shape[1:]), kind)})
status = pathlib.Path("/proc/self/status")
if status.exists():  # ru_maxrss counts the process that started this one
    print(1024 * int(re.search("VmHWM:\\s*(\\d+)", status.read_text())[1]))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one model costs to run."""

    file_bytes: int
    fastest_ms: float
    """The least time of one image: on a machine that does other work, what counts beside that of another model."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    """Of the time of one image."""
    images_per_s: float
    """In batches of 32."""
    peak_memory_bytes: int
    """Of a process that does nothing else, with the runtime itself."""


def time_models(paths: Sequence[Path], *, threads: int = 1, rounds: int = 200) -> dict[str, Timing]:
    """Time models in turns, so that what else the machine does strikes all of them alike.

    Args:
        paths: Files of ONNX models with one input.
        threads: How many threads compute one image.
        rounds: How often each model runs on one image.

    Raises:
        UserError: A file is missing, no model of the runtime, or not of one image.
    """
    sessions = {str(path): _load(path, threads) for path in paths}
    for name, session in sessions.items():
        _check_input(name, session.get_inputs())
    single = {name: _image(session, 1) for name, session in sessions.items()}
    for name, session in sessions.items():
        try:
            for _ in range(WARM_UP):
                session.run(None, single[name])
        except Exception as error:  # the runtime has an exception for each of many reasons
            reason = str(error).splitlines()[0]
            raise UserError(f"{name} cannot run on one image ({reason}); {REMEDY}") from None
    took: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name, session in sessions.items():
            took[name].append(_seconds(session, single[name]))
    found = {}
    for path in paths:
        p50, p95, p99 = (1e3 * float(np.quantile(took[str(path)], q)) for q in (0.5, 0.95, 0.99))
        found[str(path)] = Timing(
            file_bytes=path.stat().st_size, fastest_ms=1e3 * min(took[str(path)]), p50_ms=p50, p95_ms=p95, p99_ms=p99,
            images_per_s=_throughput(sessions[str(path)], rounds), peak_memory_bytes=_peak_memory(path, threads),
        )  # fmt: skip
    return found


def processor() -> str:
    """Return the processor's name, and on x86 whether it has VNNI, which integer kernels are fast with."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    name = re.search(r"model name\s*:\s*(.+)", text)
    if not name:
        return platform.machine()
    return f"{name.group(1)} {'with' if 'vnni' in text else 'without'} VNNI"


def _load(path: Path, threads: int) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise UserError(f"no model at {path}; write one with python -m trainables.export")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} is larger than {MAX_BYTES >> 30} GiB, which an ONNX file cannot be")
    try:
        return runtime.session(path.read_bytes(), threads=threads)
    except Exception as error:  # the runtime has an exception for each of many reasons
        reason = str(error).splitlines()[0]
        raise UserError(f"ONNX Runtime {onnxruntime.__version__} cannot load {path} ({reason})") from None


def _check_input(name: str, given: Sequence[onnxruntime.NodeArg]) -> None:
    """Raise UserError unless a model has one input, images, and takes one at a time."""
    if len(given) == 1 and given[0].type in TYPES and given[0].shape:
        count, *sides = given[0].shape
        is_fixed = all(isinstance(side, int) for side in sides)
        if (count == 1 or not isinstance(count, int)) and is_fixed and 0 < math.prod(sides) <= MAX_VALUES:
            return
    found = ", ".join(
        f"{one.name}: {one.type.removeprefix('tensor(').removesuffix(')')} ({', '.join(map(str, one.shape))})"
        for one in given
    )
    raise UserError(
        f"{name} takes {found or 'nothing'}, and not one image of fixed sides, uint8 or float; {REMEDY}"
    )


def _image(session: onnxruntime.InferenceSession, count: int) -> dict[str, np.ndarray]:
    given = session.get_inputs()[0]
    pixels = np.random.default_rng(0).integers(0, 256, (count, *given.shape[1:]))
    return {given.name: pixels.astype(TYPES[given.type])}


def _seconds(session: onnxruntime.InferenceSession, images: dict[str, np.ndarray]) -> float:
    start = time.perf_counter()
    session.run(None, images)
    return time.perf_counter() - start


def _throughput(session: onnxruntime.InferenceSession, rounds: int) -> float:
    size = session.get_inputs()[0].shape[0]
    count = size if isinstance(size, int) else BATCH
    images = _image(session, count)
    return count / float(np.median([_seconds(session, images) for _ in range(max(3, rounds // BATCH))]))


def _peak_memory(path: Path, threads: int) -> int:
    command = [sys.executable, "-c", MEMORY, str(path), str(threads)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
