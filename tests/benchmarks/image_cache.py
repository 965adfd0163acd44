"""How soon an epoch of an image folder starts, and what it keeps in memory.

    python -m tests.benchmarks.image_cache [--images 1000] [--size 128] [--repeats 3] [--json FILE]

Made pictures of 1280x1024, in a temporary folder. In turn, `repeats` times: decoding all files at full size on
all cores and throwing the pixels away (the yardstick); a first start, from an empty cache to the first batch;
a second start. Then the memory of an epoch over a quarter of the images, and over all of them, each in a process
of its own: `anonymous` belongs to the process, `file` are pages of the cache, shared by all trials on the node
and given back when memory is short.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from tests.make_kvasir import make
from trainables.data import Preparation, batches, load
from trainables.data.images.parallel import on_all_cores
from trainables.data.listing.folder_listing import KVASIR

SIZE = (1280, 1024)


def decode_all(folder: Path) -> None:
    """Decode every file at full size on all cores."""

    def decode(path: Path) -> None:
        with Image.open(path) as image:
            image.load()

    on_all_cores(decode, sorted(folder.rglob("*.jpg")), "Decoding at full size")


def start(folder: Path, size: int) -> None:
    """Do what a new process does until it has its first batch."""
    load.cache_clear()
    next(batches(load("kvasir", folder, Preparation(image_size=size)).train, 128, torch.Generator()))


def seconds(function: Callable[..., None], *arguments: object) -> float:
    """Time one call."""
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


def epoch_memory(folder: Path, size: int) -> dict[str, float]:
    """Return the memory in MB that an epoch of batches adds to this process, by kind."""

    def resident() -> dict[str, int]:
        lines = Path("/proc/self/status").read_text().splitlines()
        return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}

    before = resident()
    data = load("kvasir", folder, Preparation(image_size=size))
    for images, _ in batches(data.train, 32, torch.Generator()):
        images.float().mean()
    after = resident()
    return {
        name: (after[key] - before[key]) / 1024
        for name, key in (("anonymous", "RssAnon"), ("file", "RssFile"))
    }


def measure(folder: Path, images: int, size: int, repeats: int) -> dict[str, object]:
    """Make the pictures and take all figures."""
    all_images, quarter = folder / "all", folder / "quarter"
    make(all_images, images // len(KVASIR), (SIZE,))
    for name in KVASIR:
        (quarter / name).mkdir(parents=True)
        for path in sorted((all_images / name).iterdir())[::4]:
            os.link(path, quarter / name / path.name)
    times: dict[str, list[float]] = {"decode_s": [], "first_start_s": [], "second_start_s": []}
    for repeat in range(repeats):
        os.environ["XDG_CACHE_HOME"] = str(folder / f"cache{repeat}")
        times["decode_s"].append(seconds(decode_all, all_images))
        times["first_start_s"].append(seconds(start, all_images, size))
        times["second_start_s"].append(seconds(start, all_images, size))
    memory = {
        f"epoch_memory_mb_{part.name}": json.loads(
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "tests.benchmarks.image_cache",
                    "--epoch",
                    str(part),
                    "--size",
                    str(size),
                ],
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        )
        for part in (quarter, quarter, all_images)  # the first builds the cache
    }
    ratios = [first / decode for first, decode in zip(times["first_start_s"], times["decode_s"], strict=True)]
    return {
        "images": images // len(KVASIR) * len(KVASIR),
        "size": size,
        "cores": len(os.sched_getaffinity(0)),
        **{name: statistics.median(values) for name, values in times.items()},
        "first_start_over_decode": {
            "median": statistics.median(ratios),
            "min": min(ratios),
            "max": max(ratios),
            "runs": repeats,
        },
        **memory,
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="How soon an epoch of an image folder starts.")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--epoch", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.epoch:
        print(json.dumps(epoch_memory(arguments.epoch, arguments.size)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.images, arguments.size, arguments.repeats)
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
