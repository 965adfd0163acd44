"""An estimate: what a configuration measures with the weights of a shared model."""

from pathlib import Path

import pytest

import trainables
from trainables import Config, costs
from trainables.training.run import epochs

Settings = dict[str, object]


@pytest.mark.parametrize("model", ["paper_cnn", "small_cnn"])
def test_it_is_what_a_run_of_no_epochs_measures(settings: Settings, tmp_path: Path, model: str) -> None:
    widths = {"widths.bits": [2, 8]}
    shared = settings | {"model": model, "bits": 8, "epochs": 2}
    for epoch in epochs(Config.parse(shared | widths)):
        epoch.save(tmp_path)
    start = {**shared, "init": str(tmp_path / "checkpoint.safetensors")}
    found = {}
    for bits in (2, 8):
        config = Config.parse({**start, "bits": bits, "epochs": 5})
        found[bits] = trainables.estimate(config.flat())
        (none,) = epochs(Config.parse({**start, "bits": bits, "epochs": 0}))
        assert found[bits] == {name: none.metrics[name] for name in found[bits]}
        assert found[bits]["flops"] == costs(config)["flops"]
    assert found[2]["loss"] != found[8]["loss"]
    assert found[8]["faithfulness_se"] > 0
