"""What a process pays until its first batch of a set of many small files: on the first start, and on later ones.

    python -m tests.benchmarks.large_image_set FOLDER [--images 58954] [--starts 3] [--json FILE]

Grey JPEGs of 64x64 in six classes are made in FOLDER/set, if they are not there; the cache is FOLDER/cache, and a first
start begins with an empty one. Each start is a process of its own. `cpu_s` is user and system time; `peak_mb` is the
largest resident memory, of which `imports_mb` was there before the set was asked for.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 6


def make(folder: Path, images: int) -> None:
    """Write `images` smooth grey pictures into class folders."""
    generator = np.random.default_rng(0)
    for number in range(images):
        place = folder / f"class{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = generator.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(
            place / f"{number}.jpeg", quality=85
        )


def start(folder: Path) -> dict[str, float]:
    """Do what a new process does until it has its first batch."""
    import torch

    from trainables.data import Preparation, batches, load

    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    next(batches(load("folder", folder, Preparation(image_size=64)).train, 128, torch.Generator()))
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "s": round(time.perf_counter() - begin, 2),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_mb": after.ru_maxrss // 1024,
        "imports_mb": before.ru_maxrss // 1024,
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="What a process pays until its first batch of many small files."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=58954)
    parser.add_argument("--starts", type=int, default=3, help="the first and so many less one (default: 3)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    pictures, cache = arguments.folder / "set", arguments.folder / "cache"
    if arguments.one:
        print(json.dumps(start(pictures)))
        return 0
    if not pictures.exists():
        make(pictures, arguments.images)
    shutil.rmtree(cache, ignore_errors=True)
    command = [sys.executable, "-m", "tests.benchmarks.large_image_set", str(arguments.folder), "--one"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    starts = []
    for _ in range(arguments.starts):
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        starts.append(json.loads(done.stdout.splitlines()[-1]))
        print(json.dumps(starts[-1]))
    size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) // 2**20
    print(f"cache: {size} MB")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"images": arguments.images, "cache_mb": size, "starts": starts}, indent=1)
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
