"""A model of one's own from a search to a file for a device: inspect, launch, report, export.

python examples/own_model.py --data-dir DIR [--model own_network:OwnNetwork | --model timm/test_efficientnet]

DIR holds a folder of images per class. The options after `--` go to `study.launch`, such as `-- --trials 40`.
"""

import argparse
import os
from pathlib import Path

import results
from study.__main__ import main as sgt_pact

HERE = Path(__file__).parent


def run(*words: str) -> None:
    """Run a command of the project, as the console script does; the example ends if it fails."""
    print("$ sgt-pact", *words, flush=True)
    if code := sgt_pact(words):
        raise SystemExit(code)


def main() -> None:
    """Run the commands one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="own_network:OwnNetwork")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--runs-dir", default="runs")
    parser.add_argument("--name", default="own")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("launch", nargs="*", metavar="OPTION", help="for study.launch")
    given = parser.parse_args()
    # Python finds own_network beside this file; the workers of Ray must be told where it is.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    run("inspect", "--model", given.model, "--size", str(given.image_size))
    run(
        "launch", "--space", "mixed_bits", "--model", given.model, "--dataset", "folder",
        "--data-dir", given.data_dir, "--set", f"image_size={given.image_size}", "--runs-dir", given.runs_dir,
        "--name", given.name, *given.launch,
    )  # fmt: skip
    run("report", given.name, "--runs-dir", given.runs_dir)
    directory = Path(given.runs_dir, given.name)
    (best, *_) = results.load(directory).recommend().values()
    checkpoint = directory / "trials" / str(best["number"]) / "checkpoint.safetensors"
    run("export", str(checkpoint), "--out", str(directory / "model"))


if __name__ == "__main__":
    main()
