"""A shared model: at each configuration an ordinary network, trained by the sum of ordinary gradients, resumable."""

import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from study_common.errors import UserError
from trainables import Config, shared_config
from trainables.quantisation.any_width import place
from trainables.quantisation.quantisers import Pact, clipping_levels, quantiser_of
from trainables.training import checkpoint, sandwich
from trainables.training.network import load_checkpoint, new_model
from trainables.training.run import Run, epochs

Settings = dict[str, object]
MODELS = ("paper_cnn", "small_cnn")
PLAIN = {"fill": "zero", "precision": "float32", "augment": False, "epochs": 2}


def config_of(settings: Settings, **changes: object) -> Config:
    """A shared model: conv1 at 2, 4 or float, conv2's weight and input apart, the others at 8 bits."""
    widths = {"widths.bits.conv1": [2, 4, 32], "widths.w_bits.conv2": [2, 8], "widths.a_bits.conv2": [4, 32]}
    return Config.parse({**settings, **PLAIN, "bits": 8, **changes} | widths | {"bits.conv1": 32}
                        | {"w_bits.conv2": 8, "a_bits.conv2": 32})  # fmt: skip


def stepped(config: Config, steps: int = 2) -> Run:
    run = Run(config)
    run.model.train()
    for X, y in batches_of(run, steps):
        run.step(X, y, torch.zeros_like)
    return run


def batches_of(run: Run, count: int) -> list[tuple[Tensor, Tensor]]:
    size = run.config.batch_size
    images, labels = run.images
    return [
        (run.scale(images[i : i + size]).contiguous(memory_format=torch.channels_last), labels[i : i + size])
        for i in range(0, count * size, size)
    ]


def all_widths(config: Config) -> list[dict[str, int]]:
    return [dict(zip(config.widths, values, strict=True)) for values in product(*config.widths.values())]


def ordinary(run: Run, widths: dict[str, int]) -> Run:
    """An ordinary run whose parameters are set by hand to those of a shared model."""
    config = replace(run.config.at(widths), widths={})
    made = Run(config)
    shared: nn.ModuleDict = run.sandwich.any_width  # type: ignore[assignment]
    with torch.no_grad():
        for name, layer in made.model.named_modules():
            twin = dict(run.model.named_modules()).get(name)
            if isinstance(layer, nn.Conv2d | nn.Linear):
                float_weight = quantiser_of(twin)[1] if parametrize.is_parametrized(twin) else twin.weight
                if parametrize.is_parametrized(layer):
                    quantiser, own = quantiser_of(layer)
                    own.copy_(float_weight)
                    inner = getattr(quantiser, "quantiser", quantiser)
                    inner.load_state_dict(shared.weights[place(name, config.w_bits[name])].state_dict())
                else:
                    layer.weight.copy_(float_weight)
                if layer.bias is not None:
                    layer.bias.copy_(twin.bias)
                if isinstance(pact := getattr(layer, "input_quantiser", None), Pact):
                    pact.load_state_dict(shared.inputs[place(name, config.a_bits[name])].state_dict())
            elif isinstance(layer, nn.BatchNorm2d):
                layer.load_state_dict(twin.state_dict())
    return made


@pytest.fixture(params=MODELS)
def model_settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    return settings | {"model": request.param}


def test_at_each_configuration_it_is_an_ordinary_network(model_settings: Settings) -> None:
    run = stepped(config_of(model_settings))
    ((X, _),) = batches_of(run, 1)
    for widths in all_widths(run.config):
        run.sandwich.select(run.config.at(widths))
        by_hand = ordinary(run, widths).model
        for training in (True, False):
            with torch.no_grad():
                assert run.model.train(training)(X).equal(by_hand.train(training)(X)), (widths, training)


def test_a_trial_that_starts_from_it_is_that_network(model_settings: Settings, tmp_path: Path) -> None:
    run = stepped(config_of(model_settings))
    checkpoint.write(tmp_path / "shared", run.sandwich.state(), {"config": run.config.flat()})
    for widths in all_widths(run.config):
        config = replace(run.config.at(widths), widths={}, init=str(tmp_path / "shared"))
        trial, by_hand = Run(config), ordinary(run, widths)
        by_hand.settle(torch.Generator().manual_seed(config.seed))
        found, expected = trial.model.state_dict(), by_hand.model.state_dict()
        assert found.keys() == expected.keys()
        for name in found:
            assert found[name].equal(expected[name]), (widths, name)


def test_alpha_init_multiplies_the_alphas_that_a_trial_takes(settings: Settings, tmp_path: Path) -> None:
    run = stepped(config_of(settings, alpha_init=2.0))
    checkpoint.write(tmp_path / "shared", run.sandwich.state(), {"config": run.config.flat()})
    config = replace(run.config, widths={}, init=str(tmp_path / "shared"))

    def alphas(**changes: Any) -> list[float]:
        return [alpha.item() for alpha in clipping_levels(Run(replace(config, **changes)).model)]

    learned = alphas()
    assert 2.0 not in learned
    assert alphas(alpha_init=5.0) == pytest.approx([2.5 * alpha for alpha in learned])
    assert alphas(alpha_init=5.0, alpha_start="percentile") == learned


def test_the_gradient_of_a_step_is_the_sum_of_three_ordinary_ones(model_settings: Settings) -> None:
    run = stepped(config_of(model_settings, lambda2=1e-3), steps=1)
    ((X, y),) = batches_of(run, 1)
    torch.manual_seed(5)
    drawn = sandwich.random(run.config.widths)
    most = {name: values[-1] for name, values in run.config.widths.items()}
    expected: dict[int, Tensor] = {}
    total = 0.0
    for widths in (most, sandwich.smallest(run.config.widths), drawn):
        one = ordinary(run, widths)
        one.model.train()
        total += one.backward(X, y, torch.zeros_like)[-1].item()
        for name, gradient in gradients(one, widths):
            expected[name] = expected.get(name, 0) + gradient
    torch.manual_seed(5)
    run.optimizer.zero_grad()
    terms = torch.stack([run.backward(X, y, torch.zeros_like) for _ in run.sandwich.passes()])
    assert terms[:, -1].sum().item() == pytest.approx(total, rel=1e-6)
    found = {name: p.grad for name, p in shared_names(run).items() if p.grad is not None}
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)


def shared_names(run: Run) -> dict[str, Tensor]:
    """Every parameter of a shared model: weights by their plain names, quantisers by layer, width and kind."""
    bank = {
        f"{kind} {n}": p
        for kind, of in run.sandwich.any_width.named_children()
        for n, p in of.named_parameters()
    }
    own = {
        n.replace("parametrizations.weight.original", "weight"): p
        for n, p in run.model.named_parameters()
        if "quantiser" not in n and "log_step" not in n
    }
    return own | bank


def gradients(run: Run, widths: dict[str, int]) -> list[tuple[str, Tensor]]:
    """The gradients of an ordinary run, by the same names."""
    found = []
    for name, p in run.model.named_parameters():
        layer, _, rest = name.partition(".parametrizations.weight.0.")
        if rest:
            found.append((f"weights {place(layer, run.config.w_bits[layer])}.log_step", p.grad))
        elif name.endswith("input_quantiser.alpha"):
            layer = name.removesuffix(".input_quantiser.alpha")
            found.append((f"inputs {place(layer, run.config.a_bits[layer])}.alpha", p.grad))
        else:
            found.append((name.replace("parametrizations.weight.original", "weight"), p.grad))
    return found


def test_each_width_has_its_own_quantisers_and_every_one_is_fitted(settings: Settings) -> None:
    run = Run(config_of(settings, alpha_start="percentile"))
    steps = {n: p.mean().item() for n, p in run.sandwich.any_width.named_parameters()}
    assert set(steps) == {
        "weights.conv1:2.log_step", "weights.conv1:4.log_step", "weights.conv2:2.log_step", "weights.conv2:8.log_step",
        "weights.fc1:8.log_step", "weights.fc2:8.log_step", "inputs.conv2:4.alpha", "inputs.fc1:8.alpha",
        "inputs.fc2:8.alpha",
    }  # fmt: skip
    assert steps["weights.conv1:2.log_step"] > steps["weights.conv1:4.log_step"]
    assert all(value != 0 for name, value in steps.items() if name.endswith("log_step"))
    assert all(value != run.config.alpha_init for name, value in steps.items() if name.endswith("alpha"))
    groups = {id(p): n for n, group in enumerate(run.optimizer.param_groups) for p in group["params"]}
    named = run.sandwich.any_width.named_parameters()
    assert {(n.rpartition(".")[2], groups[id(p)]) for n, p in named} == {("log_step", 1), ("alpha", 2)}


def test_a_resumed_shared_run_equals_the_unbroken_one(settings: Settings, tmp_path: Path) -> None:
    config = config_of(settings | {"model": "small_cnn"}, augment=True, fill="uniform", epochs=3)
    for epoch in epochs(config):
        epoch.save(tmp_path / "whole")
    for stop in (1, 2):
        broken = tmp_path / str(stop)
        run = epochs(config, resume=broken)
        for _ in range(stop):
            next(run).save(broken)
        run.close()
        for epoch in epochs(config, resume=broken):
            epoch.save(broken)
        whole, again = (checkpoint.read(f / "checkpoint.safetensors") for f in (tmp_path / "whole", broken))
        assert all(whole[0][n].equal(again[0][n]) for n in whole[0].keys() | again[0].keys())
        shutil.rmtree(broken)
    tensors, about = whole
    assert any(name.startswith(sandwich.ANY_WIDTH) for name in tensors)
    assert Config.parse(about["config"]) == config
    with pytest.raises(UserError, match="several widths"):
        load_checkpoint(tmp_path / "whole" / "checkpoint.safetensors")


def test_a_shared_model_that_does_not_fit_is_rejected(settings: Settings, tmp_path: Path) -> None:
    run = Run(config_of(settings))
    path = tmp_path / "shared"
    checkpoint.write(path, run.sandwich.state(), {"config": run.config.flat()})
    start = {**settings, "init": str(path)}
    with pytest.raises(UserError, match="conv1:3"):
        Run(Config.parse({**start, "bits": 8, "bits.conv1": 3}))
    with pytest.raises(UserError, match="this model"):
        Run(Config.parse({**start, "bits": 8, "model": "small_cnn"}))


def test_the_config_of_a_shared_model(settings: Settings) -> None:
    widths = {"bits.conv1": (2, 4), "w_bits.fc1": (2, 8)}
    config = shared_config(Config.parse({"bits": 4, "lambda1": 0.5, "epochs": 3, "rungs": "1,3"}), widths)
    assert (config.lambda1, config.epochs, config.rungs) == (0.5, 9, ())
    assert config.w_bits == {"conv1": 4, "conv2": 4, "fc1": 8, "fc2": 4}
    assert config.a_bits["fc1"] == 4
    assert Config.parse(config.flat()) == config
    found = sandwich.widths_of_layers(config)
    assert found == (
        {"conv1": [2, 4], "conv2": [4], "fc1": [2, 8], "fc2": [4]}, {"conv2": [4], "fc1": [4], "fc2": [4]}
    )  # fmt: skip
    for wrong in ({"widths.bits": "2,5"}, {"widths.lambda1": "2,4"}, {"widths.bits": "2,4", "w_bits.fc1": 2}):
        with pytest.raises(UserError, match="width"):
            Config.parse(wrong)


def test_random_widths_are_equally_likely() -> None:
    torch.manual_seed(0)
    drawn = [sandwich.random({"bits.a": (2, 4, 8), "bits.b": (2, 8)}) for _ in range(3000)]
    for a in (2, 4, 8):
        for b in (2, 8):
            assert drawn.count({"bits.a": a, "bits.b": b}) == pytest.approx(500, abs=80)


def test_an_ordinary_run_has_one_pass_at_its_own_widths(settings: Settings) -> None:
    made = new_model(Config.parse(settings), Run(Config.parse(settings)).data)
    assert len(list(made.passes())) == 1
    assert made.parameters() is made.model
