"""From a finished study to the trial to deploy, in Python: neither Ray nor torch is needed.

python examples/choose_a_model.py runs/mixed_bits-1
"""

import argparse

import results


def main() -> None:
    """Print the front, and the most accurate trial that costs at most half of the most expensive one on the front."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", help="the directory of a study")
    study = results.load(parser.parse_args().study)
    front = study.front()
    columns = ["number", *(f"metrics.{name}" for name in study.directions)]
    print(front[columns].to_string(index=False))
    print(f"hypervolume {study.hypervolume():.4f}")
    half = front["metrics.bops"].max() / 2
    chosen = study.select(at_most={"bops": half}, prefer="accuracy")
    print(f"most accurate within {half:.3g} bit-operations: trial {chosen['number']}")


if __name__ == "__main__":
    main()
