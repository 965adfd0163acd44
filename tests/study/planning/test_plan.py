"""The plan: what a user asks for is checked, and completed, before anything is written."""

import shutil
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision

from study.planning.plan import plan
from study.planning.spec import Spec
from study.store.options import LOGS
from study.store.request import Request
from study_common.errors import StudyWarning, UserError
from tests import make_lesions
from tests.make_kvasir import make
from tests.trainables.models.names import EACH_KIND
from trainables.choices import ATTRIBUTIONS
from trainables.data import load_masks
from trainables.models.catalogue import SMALLEST
from trainables.models.passes import extra_pass
from trainables.saliency.attribution import saliency_maps
from trainables.training.run import Run

RequestOf = Callable[..., Request]


def test_more_workers_than_cpus_are_warned_of(request_of: RequestOf) -> None:
    with pytest.warns(StudyWarning, match="--workers is 1000000 and this process may use"):
        assert request_of(workers=1_000_000).workers == 1_000_000


def test_the_tool_of_the_log_has_to_be_installed(
    request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOGS, "mlflow", "a_module_that_nobody_has")
    with pytest.raises(UserError, match=r"install it with pip install 'sgt-pact-study\[mlflow\]'"):
        request_of(log="mlflow")
    with pytest.raises(UserError, match="unknown log 'mlfow'; the nearest is 'mlflow'"):
        request_of(log="mlfow")


def test_replicates_leave_something_to_search(request_of: RequestOf) -> None:
    assert request_of(trials=4, replicates=3).replicates == 3
    with pytest.raises(UserError, match="--replicates 4 leaves none of the 4 trials to search with"):
        request_of(trials=4, replicates=4)
    with pytest.raises(UserError, match="--replicates is -1; it must be at least 0"):
        request_of(replicates=-1)
    assert (
        request_of(space="paper_table_ii", replicates=3).trials
        == request_of(space="paper_table_ii").trials + 3
    )


def test_localisation_is_an_objective_where_there_are_masks(
    request_of: RequestOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goals = "pointing_game:max,size_bytes:min"
    with pytest.raises(
        UserError, match="pointing_game needs to know where the findings are; give their --masks"
    ):
        request_of(objectives=goals)
    with pytest.raises(UserError, match="masks are for images in a folder"):
        request_of(masks=str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make_lesions.make(tmp_path, 10, 32)
    folder = {"dataset": "folder", "data_dir": str(tmp_path / "images"), "model": "small_cnn"}
    given = {**folder, "masks": str(tmp_path / "masks"), "fixed": {"batch_size": 8, "image_size": 32}}
    request = request_of(objectives=goals, space="uniform_bits", **given)
    assert request.objectives["pointing_game"].reference == 0.0
    assert request.fixed["masks"] == str(tmp_path / "masks")
    request.check_files()
    load_masks.cache_clear()
    for path in (tmp_path / "masks").rglob("*.png"):
        path.unlink()
        shutil.copy(tmp_path / "images" / path.relative_to(tmp_path / "masks"), path)
    with pytest.raises(UserError, match="masks does not hold the masks with which the study"):
        request.check_files()


def test_costs_that_cannot_vary_are_left_out_of_the_objectives(request_of: RequestOf) -> None:
    with pytest.warns(StudyWarning, match="flops cannot vary in space mixed_bits with these settings"):
        assert list(request_of(fixed={"bits": 32}).objectives) == ["accuracy", "faithfulness"]
    assert list(request_of(fixed={"bits.conv1": 32}).objectives) == ["accuracy", "flops", "faithfulness"]
    assert list(request_of(space="paper_table_ii").objectives) == ["accuracy", "flops", "faithfulness"]


def test_a_quantiser_that_varies_lets_the_size_vary(request_of: RequestOf, tmp_path: Path) -> None:
    space = tmp_path / "quantisers.toml"
    space.write_text('[parameters]\nweight_quantiser = { type = "choice", values = ["lsq", "affine"] }\n')
    given = {"space": str(space), "fixed": {"bits": 4}}
    assert "size_bytes" in request_of(objectives="accuracy:max,size_bytes:min", **given).objectives
    with pytest.raises(UserError, match="a study needs two objectives; name others with --objectives"):
        request_of(objectives="accuracy:max,flops:min", **given)


def test_a_home_that_the_shell_left_alone_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_of: RequestOf
) -> None:
    """--space=~/my.toml reaches us as it is typed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make(tmp_path / "kvasir", 4, ((180, 144),))
    (tmp_path / "my.toml").write_text('[bits]\nlayers = "*"\nvalues = [2, 4]\n')
    request = request_of(
        space="~/my.toml", dataset="kvasir", data_dir="~/kvasir", model="small_cnn", fixed={"batch_size": 8}
    )
    assert request.space.name == "my"
    assert request.fixed["data_dir"] == str(tmp_path / "kvasir")


def test_a_cluster_may_have_more_workers_than_this_machine(request_of: RequestOf) -> None:
    assert request_of(workers=1_000_000, address="auto").workers == 1_000_000


def test_names_count_up(request_of: RequestOf, tmp_path: Path) -> None:
    assert request_of().name == "mixed_bits-1"
    (tmp_path / "mixed_bits-1").mkdir()
    assert request_of().name == "mixed_bits-2"


def test_a_password_is_never_in_the_request(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:secret@db/studies"
    spec = Spec(space="mixed_bits", storage=url, runs_dir=str(tmp_path), command=f"launch --storage {url}")
    with pytest.warns(StudyWarning, match="password"):
        request = plan(spec)
    request.write(tmp_path)
    assert (
        tomllib.loads((tmp_path / "study.toml").read_text())["request"]["storage"]
        == "postgresql+psycopg://me@db/studies"
    )
    assert "secret" not in (tmp_path / "study.toml").read_text().replace(spec.command, "")


def test_pretrained_weights_are_looked_at_before_a_study_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "kvasir", 4, ((180, 144),))
    spec = Spec(
        space="resnet18_stage_bits", dataset="kvasir", data_dir="kvasir", model="resnet18", runs_dir=str(tmp_path),
        weights="weights.pth", fixed={"batch_size": 8},
    )  # fmt: skip
    with pytest.raises(UserError, match=r"weights\.pth cannot be read"):
        plan(spec)
    torch.save(torchvision.models.mobilenet_v3_small(weights=None).state_dict(), "weights.pth")
    with pytest.raises(UserError, match=r"does not fit the model: conv1\.weight is missing"):
        plan(spec)
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), "weights.pth")
    assert plan(spec).fixed["pretrained"] == str(tmp_path / "weights.pth")  # wherever a worker's folder is
    hub = tmp_path / "hub" / "checkpoints"  # where PyTorch keeps what it has fetched
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    hub.mkdir(parents=True)
    shutil.copy("weights.pth", hub / "resnet18-f37072fd.pth")
    assert plan(replace(spec, weights="IMAGENET1K_V1")).fixed["pretrained"] == "IMAGENET1K_V1"


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
@pytest.mark.parametrize("model", EACH_KIND)
def test_what_a_plan_accepts_starts(
    model: str, attribution: str, request_of: RequestOf, stripes: Path, tmp_path: Path
) -> None:
    space = tmp_path / "widths.toml"
    space.write_text('[bits]\nlayers = "*"\nvalues = [2, 4]\n')
    size = max(SMALLEST[model], 8)
    fixed = {"image_size": size, "batch_size": 2, "attribution": attribution}
    request = request_of(space=str(space), dataset="folder", data_dir=str(stripes), model=model, fixed=fixed)
    run = Run(request.config(request.queue[0]))
    X, y = run.scale(run.data.train.images[:2]), run.data.train.labels[:2]
    fill = run.scale.fill(run.config.fill, torch.Generator().manual_seed(0))
    assert run.step(X, y, fill).isfinite().all()
    with extra_pass(run.model):
        assert saliency_maps(run.model, X, y, method=attribution).shape == (2, size, size)


def test_a_plan_looks_at_each_batch_size_of_its_space(
    tmp_path: Path, request_of: RequestOf, stripes: Path
) -> None:
    images = {"dataset": "folder", "data_dir": str(stripes), "model": "small_cnn"}
    for values, says in (("[1, 16]", "which needs two images"), ("[16, 97]", "at most the 96 training")):
        space = tmp_path / "sizes.toml"
        space.write_text(f'[parameters]\nbatch_size = {{ type = "choice", values = {values} }}\n')
        with pytest.raises(UserError, match=says):
            request_of(space=str(space), fixed={"image_size": 16}, **images)


def test_a_plan_looks_at_the_float_model_that_trials_start_from(
    tmp_path: Path, request_of: RequestOf, stripes: Path
) -> None:
    """The batch of the float model is that of the base settings, 128, whatever the space varies."""
    space = tmp_path / "sizes.toml"
    space.write_text('[parameters]\nbatch_size = { type = "choice", values = [8, 16] }\n')
    given = {
        "space": str(space), "dataset": "folder", "data_dir": str(stripes), "model": "small_cnn",
        "fixed": {"image_size": 16}, "objectives": "accuracy:max,faithfulness:max",
    }  # fmt: skip
    assert request_of(**given).init == ""
    with pytest.raises(
        UserError, match=r"float model of --init float: batch_size is 128; .* 96 training images"
    ):
        request_of(init="float", **given)


def two_by_two(folder: Path) -> Path:
    """Write a space of four configurations."""
    space = folder / "four.toml"
    space.write_text(
        "[parameters]\nlambda1 = { type = 'choice', values = [0.1, 1.0] }\n"
        "bits = { type = 'choice', values = [2, 8] }\n"
    )
    return space


def test_a_small_space_is_tried_whole_beside_its_float_corner(request_of: RequestOf, tmp_path: Path) -> None:
    space = str(two_by_two(tmp_path))
    assert request_of(space=space).trials == 4 + 1
    assert request_of(space=space, sampler="grid").trials == 4
    assert request_of(space=space, trials=3).trials == 3
    assert request_of().trials == 15


def test_a_shared_model_needs_widths_that_vary_and_a_sampler_that_chooses(request_of: RequestOf) -> None:
    for given in ({"space": "saliency"}, {"space": "paper_table_ii"}, {"fixed": {"bits": 4}}):
        with (
            pytest.raises(UserError, match=r"(varies none|lists its configurations); choose a space"),
            warnings.catch_warnings(action="ignore"),
        ):
            request_of(init="shared", **given)
    with pytest.raises(UserError, match="grid tries them all"):
        request_of(init="shared", space="uniform_bits", sampler="grid", fixed={"lambda1": 1.0, "lambda2": 0.0,
                   "eta": 1e-4, "mask_ratio": 0.5, "alpha_init": 3.0})  # fmt: skip


def test_the_shared_model_has_the_settings_of_the_trials_and_all_widths(request_of: RequestOf) -> None:
    request = request_of(init="shared", seed=4, fixed={"lambda1": 0.3})
    config = request.start()
    assert config.widths == {f"bits.{layer}": (2, 3, 4, 6, 8) for layer in ("conv1", "conv2", "fc1", "fc2")}
    assert (config.seed, config.lambda1, config.epochs) == (4, 0.3, 9)
    assert config.mask_ratio == request.queue[0]["mask_ratio"]
    assert request.start(7).seed == 7
    assert request_of(init="float").start().widths == {}
    assert request_of().start() is None


@pytest.mark.parametrize("init", ["float", "shared"])
def test_the_first_model_has_the_settings_that_it_is_given(request_of: RequestOf, init: str) -> None:
    fixed = {"lr": 1e-4, "batch_size": 32}
    request = request_of(init=init, init_settings={"epochs": 2, "lr": 0.01}, epochs=1, fixed=fixed)
    assert request.start().epochs == request.start(7).epochs == 2
    plain = request_of(init=init, epochs=1, fixed=fixed)
    assert replace(plain.start(), epochs=2, lr=0.01) == request.start()
    assert request.config({}) == plain.config({})
    for given, told in (
        ({"epochs": -1}, "--init-set: epochs is -1"), ({"epochs": 0}, "--init-set: epochs is 0.*give 1 or more"),
        ({"model": "small_cnn"}, "--init-set cannot set model; it can set epochs, batch_size"),
        ({"epoch": 3}, "--init-set cannot set epoch"), ({"lr": "fast"}, "--init-set: lr is 'fast'"),
        ({"batch_size": 10**6}, f"the {init} model of --init {init}: batch_size is"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=told):
            request_of(init=init, init_settings=given)


def test_settings_of_a_first_model_that_nobody_trains_are_rejected(request_of: RequestOf) -> None:
    with pytest.raises(UserError, match="add --init float or --init shared"):
        request_of(init_settings={"epochs": 2})
