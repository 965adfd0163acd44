"""The papers' tables against their own arithmetic, and our trials beside them."""

from dataclasses import replace

import pandas as pd
import pytest

from results.analysis import papers


def test_the_papers_arithmetic():
    """Table II's FLOPs follow the rule from the constants named in the doubts, and those doubts are true."""
    conv1, conv2, dense = 225_792, 30_618_624, 1_180_928
    for name, (*_, flops) in papers.TABLE_II.items():
        b1, b2 = (32, 32) if name == "regular" else map(int, name.strip("()").split(","))
        assert conv1 * b1 / 32 + conv2 * b2 / 32 + dense == flops
    assert conv2 % (9 * 32 * 64) != 0
    assert conv2 == 2**10 * 3 * 9967
    assert [int(10_000 * k / 32) / 10_000 for k in (27, 25)] == [0.8437, 0.7812]
    specificity = 1 - (1 - 0.7905) / 7
    assert specificity == pytest.approx(0.970, abs=5e-4)


def test_ours_stand_beside_theirs_and_are_labelled(study):
    grid = {
        "regular": {"conv1": (32, 32), "conv2": (32, 32), "fc1": (32, 32), "fc2": (32, 32)},
        "(4, 2)": {"conv1": (4, 32), "conv2": (2, 4), "fc1": (32, 2), "fc2": (32, 32)},
    }
    rows = []
    for number, widths in enumerate(grid.values()):
        bits = {f"params.w_bits.{layer}": w for layer, (w, _) in widths.items()}
        bits |= {f"params.a_bits.{layer}": a for layer, (_, a) in widths.items()}
        metrics = {
            "metrics.accuracy": 0.9 - 0.1 * number,
            "metrics.sensitivity": 0.5,
            "metrics.specificity": 0.5,
        }
        rows.append(
            {"number": number, "state": "complete", "feasible": True, **bits, **metrics, "metrics.flops": 7.0}
        )
    ours = replace(study, trials=pd.DataFrame(rows), confirmations=study.confirmations.iloc[:0])
    table = papers.compare_with_papers([ours])
    assert set(table["whose"]) == {"the paper", "ours: sample"}
    mine = table[table["whose"] != "the paper"].set_index("configuration")
    assert mine["accuracy"].to_dict() == {"regular": 0.9, "(4, 2)": 0.8}
    assert set(mine["data"]) == {"Fashion-MNIST"}
    assert set(mine["split"]) == {"validation, runs: 1"}
    assert (table["whose"] == "the paper").sum() == 10


def test_a_confirmed_configuration_is_shown_by_its_test_figures(study):
    kvasir = replace(study, request={**study.request, "data": {"dataset": "kvasir"}})
    number = int(study.recommend()["Most accurate"]["number"])
    tests = study.confirmations.iloc[:3].assign(trial=number)
    refits = study.confirmations.iloc[:3].assign(**{"trial": number, "refit": True, "metrics.accuracy": 1.0})
    confirmed = papers.compare_with_papers([replace(kvasir, confirmations=pd.concat([tests, refits]))]).iloc[
        -1
    ]
    assert confirmed["accuracy"] == pytest.approx(tests["metrics.accuracy"].mean())
    assert confirmed["split"] == "test, runs: 3"
    plain = papers.compare_with_papers([replace(kvasir, confirmations=tests.iloc[:0])]).iloc[-1]
    assert plain["accuracy"] == study.trials.set_index("number").at[number, "metrics.accuracy"]
    assert plain["split"] == "validation, runs: 1"
