"""The tables of docs/reproduction.md out of confirmed studies of `paper_table_ii`.

    python -m tests.benchmarks.reproduction runs/table_ii_fashion runs/table_ii_mnist --out docs

Writes reproduction.csv, one row a confirmed run, its epochs and seconds with those of the float model that it started
from, and reproduction_curves.csv, every epoch of every run, of the float models as well; prints the table.
"""

import argparse
from pathlib import Path

import pandas as pd

import results

CONFIGS = {11_992_448: "regular", 1_856_648: "2-2", 1_868_816: "4-2", 2_532_368: "4-4", 749_528: "all-2"}
"""The columns of Table II by their effective FLOPs, which no two share."""


def main() -> None:
    """Write both files and print mean and standard deviation of the test accuracy."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.reproduction", description=__doc__.splitlines()[0]
    )
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    studies = [results.load(path) for path in arguments.studies]
    rows = pd.concat([runs(study) for study in studies], ignore_index=True)
    rows.to_csv(arguments.out / "reproduction.csv", index=False)
    pd.concat([curves(study) for study in studies], ignore_index=True).to_csv(
        arguments.out / "reproduction_curves.csv", index=False, float_format="%.5g"
    )
    accuracy = 100 * rows.set_index(["dataset", "config"])["test_accuracy"]
    print(accuracy.groupby(level=[0, 1]).agg(["count", "mean", "std"]).round(2))


def runs(study: results.Study) -> pd.DataFrame:
    """One row a confirmed run of the study."""
    rows = []
    for _, entry in study.confirmations.iterrows():
        own, shared = (
            pd.read_csv(folder(study, kind, entry) / "curve.csv") for kind in (int(entry["trial"]), "init")
        )
        rows.append(
            {
                "dataset": study.request["request"]["dataset"],
                "config": CONFIGS[int(entry["metrics.flops"])],
                "seed": int(entry["seed"]),
                "test_accuracy": entry["metrics.accuracy"],
                "flops": int(entry["metrics.flops"]),
                "bops": int(entry["metrics.bops"]),
                "size_bytes": int(entry["metrics.size_bytes"]),
                "epochs": len(own) + len(shared),
                "seconds": round(own["seconds"].sum() + shared["seconds"].sum()),
            }
        )
    return pd.DataFrame(rows)


def folder(study: results.Study, kind: int | str, entry: pd.Series) -> Path:
    """Where a confirmed run, or the float model of its seed, was trained."""
    return study.path / "confirmations" / f"{kind}-{entry['seed']}{'-refit' * bool(entry['refit'])}"


def curves(study: results.Study) -> pd.DataFrame:
    """Every epoch of the trials, of the confirmed runs and of the float models behind both."""
    flops = study.trials.set_index("number")["metrics.flops"]
    parts = []
    for file in sorted(study.path.glob("*/*/curve.csv")) + sorted(study.path.glob("init/curve.csv")):
        number, _, rest = file.parent.name.partition("-")
        config = "float" if number == "init" else CONFIGS[int(flops[int(number)])]
        seed = rest.removesuffix("-refit") or str(study.request["request"]["seed"])
        frame = pd.read_csv(file).drop(columns=["macs", "flops", "bops", "size_bytes"])
        frame.insert(0, "dataset", study.request["request"]["dataset"])
        frame.insert(1, "config", config)
        frame.insert(2, "seed", seed)
        frame.insert(3, "run", "confirmation" if file.parent.parent.name == "confirmations" else "trial")
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    main()
