"""Who leads: do the models with a coarse step at fc1 (2 bits, a large clipping level) lead, and by which score?

    python -m tests.benchmarks.reliability.leaders                 ranks and recommendations, from the committed rows
    python -m tests.benchmarks.reliability.leaders --models DIR    F-Fidelity of the models that `--make DIR` trained

Three such models once led a front by the mean fill. Each seed that trained all fifteen configurations is one study of
fifteen trials: accuracy, effective FLOPs and faithfulness are its objectives.
"""

import argparse
import itertools
import json
from pathlib import Path

import pandas as pd
import torch

from results.analysis.doubts import doubts
from results.analysis.selection import recommend
from tests.benchmarks.reliability import models, scores
from trainables import prepare_process
from trainables.audit.f_fidelity import f_fidelity, fine_tuned
from trainables.models.passes import extra_pass
from trainables.saliency.attribution import saliency_maps
from trainables.saliency.faithfulness import predict
from trainables.saliency.removal import REMOVALS
from trainables.training.config import Config
from trainables.training.evaluation import FAITHFULNESS_IMAGES, background_of, choose
from trainables.training.inputs import data_of, scale_of
from trainables.training.network import costs, load_checkpoint

ROWS = Path(__file__).with_name("rows.parquet")
COARSE = tuple(number for number, one in enumerate(models.configurations()) if "bits.fc1" in one)
DIRECTIONS = {"accuracy": "max", "flops": "min", "faithfulness": "max"}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    if arguments.models:
        prepare_process()
        found = pd.DataFrame(
            map(of_copy, sorted(path.parent for path in arguments.models.glob("*/about.json")))
        )
        found = found.assign(coarse=found["number"].isin(COARSE))
        print(found.round(3).to_string(index=False))
        print(found.groupby(["seed", "coarse"])[["f_fidelity", "f_fidelity.over_edge"]].mean().round(3))
        return
    rows = pd.read_parquet(ROWS)
    print(ranks(rows).to_string(), "\n")
    for seed, (name, removal, kind, images) in itertools.product(
        models.JUDGING,
        (("objective", "other_image", "soft", FAITHFULNESS_IMAGES), ("mean fill", scores.TODAY, "hard", 100)),
    ):
        trials = study(rows[rows["seed"] == seed], removal, kind, images)
        taken = {title: int(trial["number"]) for title, trial in recommend(trials, DIRECTIONS).items()}
        lead = trials.sort_values("metrics.faithfulness", ascending=False).head(4)
        said = doubts(trials)
        print(
            f"seed {seed}, {name}: recommended {taken}; coarse are {COARSE}; the four of the highest score:"
        )
        for number, trial in lead.iterrows():
            doubt = said.get(number, "no doubt")
            print(
                f"  {number}: {trial['metrics.faithfulness']:.3f}, {trial['metrics.accuracy']:.3f}; {doubt}"
            )


def ranks(rows: pd.DataFrame) -> pd.DataFrame:
    """By each score and judging seed, the ranks of the coarse configurations among all, 1 the most faithful."""
    found = {}
    for kind, removal in itertools.product(("soft", "hard"), (*REMOVALS, scores.TODAY)):
        some = scores.scored(rows[rows["seed"].isin(models.JUDGING)], removal, kind, 100)
        table = some.pivot_table(index="number", columns="seed", values="score")
        place = table.rank(ascending=False).loc[list(COARSE)].astype(int)
        found[kind, removal] = {
            **{f"ranks, seed {seed}": ", ".join(map(str, place[seed])) for seed in table},
            "coarse": f"{table.loc[list(COARSE)].to_numpy().mean():.3f}",
            "others": f"{table.drop(list(COARSE)).to_numpy().mean():.3f}",
            "best other": f"{table.drop(list(COARSE)).to_numpy().max():.3f}",
        }
    return pd.DataFrame(found).T


def study(rows: pd.DataFrame, removal: str, kind: str, images: int) -> pd.DataFrame:
    """The models of one seed as trials of a study whose faithfulness is this score."""
    own = scores.scored(rows, removal, kind, images).set_index("number")
    found = pd.DataFrame({"number": own.index, "state": "complete", "feasible": True}, index=own.index)
    found["metrics.accuracy"], found["metrics.faithfulness"] = own["accuracy"], own["score"]
    settings = list(models.configurations())
    found["metrics.flops"] = [costs(Config.parse(settings[number]))["flops"] for number in own.index]
    for name in REMOVALS:
        other = scores.scored(rows, name, "soft", 100).set_index("number")
        found[f"metrics.faithfulness.{name}"] = other["score"]
        found[f"metrics.faithfulness.{name}_se"] = other["se"]
    return found


def of_copy(folder: Path) -> dict[str, float]:
    """F-Fidelity of one model, on as many images as the objective looks at."""
    about = json.loads((folder / models.ABOUT).read_text())
    model, config, _ = load_checkpoint(folder / models.LAST)
    data = data_of(config)
    scale = scale_of(data, torch.device("cpu"))
    X = scale(choose(data.validation, FAITHFULNESS_IMAGES).images)
    tuned = fine_tuned(model, config)
    with extra_pass(model):
        maps = saliency_maps(model, X, predict(model, X), method=config.attribution)
        found = f_fidelity(model, tuned, X, maps, background_of(data, scale))
    return {"number": about["number"], "seed": about["seed"], **found}


if __name__ == "__main__":
    main()
