"""The reliability of faithfulness: is a score the configuration's, or the luck of a seed and of a removal?

    python -m tests.benchmarks.reliability [--json FILE]              judge the committed rows
    python -m tests.benchmarks.reliability --quick --seed S           retrain six models, and compare with the rows
    python -m tests.benchmarks.reliability --make DIR [--seeds 11,12] [--levers]     train and score; rows in DIR

Fifteen configurations of paper_cnn, nine epochs on the embedded images, seeds 11 to 18. A score was chosen on seeds 11
and 12; seeds 17 and 18 judge; those between judged earlier choices. `--levers` scores more donors, average weights and
Integrated Gradients too. `--quick` exits with 1 if the new models disagree with the rows beyond the error that the rows
state.
"""

import argparse
import itertools
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from tests.benchmarks.reliability import models, planted, scores
from tests.benchmarks.reliability.judgement import (
    Candidate,
    Verdict,
    candidates,
    icc,
    judge,
    measured,
    summary,
)
from tests.benchmarks.reliability.scores import scored
from tests.benchmarks.reliability.sizes import NINE, by_images, one_seed
from tests.benchmarks.reliability.trial_cost import cost_share
from tests.benchmarks.reliability.widths import width_costs
from trainables import prepare_process
from trainables.saliency.suite import OBJECTIVE
from trainables.training.config import Config
from trainables.training.evaluation import FAITHFULNESS_IMAGES

ROWS = Path(__file__).with_name("rows.parquet")
SAMPLE = (0, 2, 3, 4, 6, 8)
"""The configurations that `--quick` retrains."""
UNLIKELY = 0.001
"""The probability at which each test of `--quick` fails by chance."""
CHOSEN = Candidate(
    removals=OBJECTIVE, combined="mean", attribution=Config().attribution, kind="soft",
    images=FAITHFULNESS_IMAGES, weights="last",
)  # fmt: skip
"""The objective as it is in this version."""


def main() -> int:
    """Run one part; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.reliability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--quick", action="store_true", help="retrain six models with --seed, and compare")
    parser.add_argument("--seed", type=int, default=21, help="of --quick (default: %(default)s)")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="of --quick: keep the models, and go on from there"
    )
    parser.add_argument("--make", type=Path, metavar="DIR", help="train and score every model")
    parser.add_argument(
        "--levers", action="store_true", help="of --make: score what might be more reliable too"
    )
    parser.add_argument("--seeds", default=",".join(map(str, models.SEEDS)), help="of --make")
    arguments = parser.parse_args()
    prepare_process()
    if arguments.make:
        seeds = tuple(map(int, arguments.seeds.split(",")))
        wanted = (scores.PLAIN, *scores.SIZES, *(scores.LEVERS if arguments.levers else ()))
        make(arguments.make, seeds, tuple(range(len(list(models.configurations())))), wanted)
        return 0
    rows = pd.read_parquet(ROWS)
    if arguments.quick:
        with tempfile.TemporaryDirectory() as folder:
            return compare(rows, arguments.seed, arguments.keep or Path(folder))
    figures = report(rows)
    print(json.dumps(figures, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def make(
    out: Path,
    seeds: tuple[int, ...],
    numbers: tuple[int, ...],
    measurements: Sequence[scores.Measurement] = (scores.PLAIN,),
    base: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Train and score what is not there yet; the rows of all, also as `out`/rows.parquet."""
    models.train(out, seeds, numbers, base)
    for folder in sorted(path.parent for path in out.glob(f"*/{models.ABOUT}")):
        if not (folder / ROWS.name).exists():
            found = scores.rows(folder, measurements)
            found.to_parquet(folder / "part")
            (folder / "part").replace(folder / ROWS.name)
    rows = pd.concat(
        [pd.read_parquet(path) for path in sorted(out.glob(f"*/{ROWS.name}"))], ignore_index=True
    )
    packed(rows).to_parquet(out / ROWS.name, compression="zstd")
    return rows


def packed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows in types that take little space."""
    floats = dict.fromkeys(("accuracy", "score", "se", "maps_s", "score_s", "train_s"), "float32")
    return rows.astype(floats | dict.fromkeys(("number", "seed", "images"), "int16"))


def report(rows: pd.DataFrame) -> dict[str, float | bool | str]:
    """Print what each candidate is worth on the seeds that choose, and the chosen one on the seeds that judge."""
    margins = planted.margins()
    print(margins.round(2).rename_axis("planted oracle less random and edge").to_string(), "\n")
    choosing, judging = (_with_all(rows, seeds) for seeds in (models.CHOOSING, models.JUDGING))
    rows = rows[rows["number"].isin(choosing["number"])]
    nine = choosing[choosing["number"] < NINE]
    verdicts = {c: judge(nine, c, margins) for c in candidates() if measured(nine, c)}
    best = choice(verdicts)
    levers = [c for c in verdicts if c.removals == CHOSEN.removals]
    plain = [c for c in verdicts if (c.attribution, c.images, c.weights) == ("gradient", 100, "last")]
    _show(
        "the levers, on nine configurations of the seeds that choose", nine, [CHOSEN, *levers, best], margins
    )
    for title, some in (("seeds that choose", choosing), ("seeds that judge", judging), ("all seeds", rows)):
        _show(f"the removals, {title}", some, [CHOSEN, *plain], margins)
        print(f"the score up to 9571cfb: ICC {mean_fill(some)[0]:.2f}\n")
    print(f"eligible on the nine: {sum(not v.missed for v in verdicts.values())} of {len(verdicts)}")
    print(f"their cheapest, or the best if there is none: {_name(best)}\n")
    for kind in ("soft", "hard"):
        print(f"what a width costs, {kind}\n{width_costs(rows, kind).to_string()}\n")
    print(f"by the number of images, seeds that judge\n{by_images(judging).to_string()}\n")
    verdict = judge(judging, CHOSEN, margins)
    of_one_seed, within_it = one_seed(scored(judging, CHOSEN.removals[0], CHOSEN.kind, CHOSEN.images))
    return {
        "chosen": _name(CHOSEN),
        "picked_by_the_rule": _name(best),
        "eligible": not verdict.missed,
        "missed": "; ".join(verdict.missed),
        "icc_chosen": verdict.icc,
        "icc_chosen_low": verdict.low,
        "icc_chosen_high": verdict.high,
        "icc_within_min": min(verdict.within.values()),
        "oracle_margin": verdict.margin,
        "tau_others": verdict.tau,
        "icc_mean_fill": mean_fill(judging)[0],
        "cost_share": cost_share(),
        "images": CHOSEN.images,
        "models": judging.groupby(["number", "seed"]).ngroups,
        "icc_within": " ".join(f"{value:.2f}" for value in verdict.within.values()),
        "icc_mean_fill_as_many_images": mean_fill(judging, CHOSEN.images)[0],
        "icc_chosen_one_seed": of_one_seed,
        "icc_chosen_one_seed_within": " ".join(f"{value:.2f}" for value in within_it),
    }


def _with_all(rows: pd.DataFrame, seeds: tuple[int, ...]) -> pd.DataFrame:
    """The rows of these seeds; a configuration that lacks one says less of luck than of itself, and is left out."""
    some = rows[rows["seed"].isin(seeds)]
    return some[some.groupby("number")["seed"].transform("nunique") == len(seeds)]


def choice(verdicts: dict[Candidate, Verdict]) -> Candidate:
    """The cheapest eligible candidate; if there is none, the one that misses fewest conditions with the highest ICC.

    Removals that SGT can train on are no candidates.
    """
    fair = {c: v for c, v in verdicts.items() if not {"mean", "black", "uniform"} & set(c.removals)}
    eligible = {c: v for c, v in fair.items() if not v.missed}
    if eligible:
        return min(eligible, key=lambda c: eligible[c].cost)
    return min(fair, key=lambda c: (len(fair[c].missed), -fair[c].icc))


def _show(title: str, rows: pd.DataFrame, chosen: list[Candidate], margins: pd.DataFrame) -> None:
    lines = {_name(c): summary(judge(rows, c, margins)) for c in dict.fromkeys(chosen) if measured(rows, c)}
    print(f"{title}: {rows.groupby(['number', 'seed']).ngroups} models")
    print(pd.DataFrame(lines).T.to_string(), "\n")


def mean_fill(rows: pd.DataFrame, images: int = 100) -> tuple[float, float, float]:
    """The ICC and interval of the score of earlier versions on the same models; it had 100 images."""
    some = scored(rows, scores.TODAY, "hard", images)
    return icc(some.set_index(["number", "seed"])["score"])


def compare(rows: pd.DataFrame, seed: int, folder: Path) -> int:
    """Retrain `SAMPLE` with a seed; 0 if its scores lie within the error that the rows state, else 1.

    Models of one seed begin with the same weights, so the seed moves all of them together: what the new ones have in
    common is held against what the seeds of the rows have (t), what is left against what is left there (F).
    """
    new = make(folder, (seed,), SAMPLE)
    new = new[(new["seed"] == seed) & new["number"].isin(SAMPLE)]
    seconds = new.groupby("number")["train_s"].first().sum()
    print(f"six models with seed {seed}: {seconds / 60:.1f} minutes of one core")
    agreed = True
    removals = sorted(new.loc[new["attribution"] == "gradient", "removal"].unique())
    for removal, kind in itertools.product(removals, ("hard", "soft")):
        old = scored(rows, removal, kind, 100).pivot_table(index="number", columns="seed", values="score")
        old = old.loc[list(SAMPLE)].drop(columns=seed, errors="ignore").dropna(axis=1)
        found = scored(new, removal, kind, 100).set_index("number")["score"][old.index]
        (n, k), own = old.shape, old.mean(axis=1)
        of_seeds = old.sub(own, axis=0).mean()
        common = (found - own).mean()
        t = float(common / (of_seeds.std(ddof=1) * np.sqrt(1 + 1 / k)))
        left = (old.sub(own, axis=0) - of_seeds).to_numpy()
        variance = (left**2).sum() / ((k - 1) * (n - 1)) * (1 + 1 / k)
        ratio = float(((found - own - common) ** 2).sum() / (n - 1) / variance)
        t_bound = stats.t.ppf(1 - UNLIKELY / 2, k - 1)
        f_bound = stats.f.ppf(1 - UNLIKELY, n - 1, (k - 1) * (n - 1))
        agreed &= abs(t) <= t_bound and ratio <= f_bound
        print(
            f"{removal:12} {kind}: all together {common:+.3f}, t {t:+.1f} (at most {t_bound:.1f}); "
            f"each, F {ratio:.2f} (at most {f_bound:.2f})"
        )
    print("the new models agree with the rows" if agreed else "the new models disagree with the rows")
    return 0 if agreed else 1


def _name(candidate: Candidate) -> str:
    joined = " + ".join(candidate.removals)
    combined = f"worst of {joined}" if candidate.combined == "worst" else joined
    how = f"{candidate.attribution}, {candidate.kind}, {candidate.images} images, {candidate.weights} weights"
    return f"{combined}, {how}"


if __name__ == "__main__":
    raise SystemExit(main())
