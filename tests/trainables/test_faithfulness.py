"""`python -m trainables.faithfulness` on the checkpoint of a real run."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from study_common import layout
from trainables.audit.sanity_check import LIMIT
from trainables.faithfulness import main
from trainables.saliency.removal import REMOVALS
from trainables.saliency.suite import OBJECTIVE
from trainables.training import checkpoint
from trainables.training.config import Config
from trainables.training.run import Run


@pytest.fixture(scope="module")
def run():
    torch.set_num_threads(1)
    return Run(Config.parse({"bits": 4, "epochs": 1}))


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished")
    run.finish(1, 0.0, run.measure(1))
    run.save(1, directory)
    return directory, run.curve[-1]


def test_the_command_prints_every_figure_and_writes_the_curves(finished, tmp_path, capsys):
    directory, recorded = finished
    alone = shutil.copy(directory / layout.CHECKPOINT_FILE, tmp_path / "a.safetensors")
    code = main([str(alone), "--reference", str(alone), "--out", str(tmp_path / "out")])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 0
    assert {name: found[name] for name in recorded if name.startswith("faithfulness")} == {
        name: value for name, value in recorded.items() if name.startswith("faithfulness")
    }
    assert {
        "faithfulness.black",
        "faithfulness.road_se",
        "faithfulness.over_edge",
        "faithfulness.blank",
    } <= found.keys()
    assert {"infidelity", "infidelity_share", "max_sensitivity"} <= found.keys()
    assert found["sanity_spearman"] == found["sanity.conv1"]
    assert found["sanity_passed"] is (found["sanity_spearman"] < LIMIT)
    assert found["spearman"] == found["top_iou"] == 1
    assert json.loads((tmp_path / "out/faithfulness.json").read_text()) == found
    rows = pd.read_csv(tmp_path / "out/removal.csv")
    assert set(rows["removal"]) == set(REMOVALS)
    means_of = rows[rows["fraction"] > 0].pivot_table(index="removal", columns="order", values="probability")
    for removal, gap in (means_of["lerf"] - means_of["morf"]).items():
        assert gap == pytest.approx(recorded[f"faithfulness.{removal}"], abs=1e-6)
    objective = rows[rows["removal"].isin(OBJECTIVE)]
    with np.load(directory / layout.SALIENCY_FILE) as arrays:
        drawn = pd.DataFrame(
            {
                name: arrays[f"curve_{name}"]
                for name in ("order", "fraction", "kept", "probability", "accuracy")
            }
        )
    assert set(drawn["order"]) == {"morf", "lerf", "random"}
    means = objective.groupby(["order", "fraction"])[["kept", "probability", "accuracy"]].mean()
    pd.testing.assert_frame_equal(drawn.set_index(["order", "fraction"]).sort_index(), means)


@pytest.mark.parametrize(
    "arguments", [["gone"], ["{own}", "--reference", "gone"], ["{own}", "--reference", "{other}"]]
)
def test_what_cannot_be_examined_ends_with_one_line(arguments, finished, tmp_path, capsys):
    own = finished[0] / layout.CHECKPOINT_FILE
    tensors, about = checkpoint.read(own)
    about["config"]["dataset"] = "mnist"
    checkpoint.write(tmp_path / "other.safetensors", tensors, about)
    code = main([a.format(own=own, other=tmp_path / "other.safetensors") for a in arguments])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "gone" in err or "trained on mnist" in err
