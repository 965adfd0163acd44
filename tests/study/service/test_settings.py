"""What the service may run, and by which names it goes."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from study.service.settings import Settings, allowed_datasets, allowed_models, allowed_spaces, is_loopback
from study_common.errors import UserError
from tests.study.service.conftest import settings_of
from trainables.training.config import PLACES


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("10.1.2.3", True),
        (socket.gethostname(), True),
        ("team.example.org", True),
        ("evil.example.org", False),
        ("127.0.0.1.evil.example.org", False),
        ("localhost.evil.org", False),
        ("", False),
    ],
)
def test_a_name_that_foreign_dns_could_point_here_is_refused(runs: Path, name: str, known: bool) -> None:
    assert settings_of(runs, hosts=("team.example.org",)).is_known_host(name) is known


def test_where_only_this_machine_reaches() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::", "host")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_a_space_file_is_allowed_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[parameters]\nlambda1 = { type = 'float', low = 0.1, high = 1.0 }\n")
    assert allowed_spaces([str(file)])["mine"] == str(file)
    with pytest.raises(UserError, match="already"):
        allowed_spaces([str(file), str(file)])
    with pytest.raises(UserError, match="cannot read"):
        allowed_spaces([str(tmp_path / "nowhere.toml")])


@pytest.mark.parametrize("text", ["mnist", "mnist=/nowhere", "mnits=/tmp", "fashion_mnist_small=/tmp"])
def test_a_data_set_has_a_known_name_and_a_folder(text: str) -> None:
    with pytest.raises(UserError):
        allowed_datasets([text])


def test_folders_that_are_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for folder, told in (
        (str(tmp_path / "loop"), "write NAME=FOLDER"),
        ("~nobody-x", "a user that is not known"),
    ):
        with pytest.raises(UserError, match=told):
            allowed_datasets([f"mnist={folder}"])
    with pytest.raises(UserError, match="a user that is not known"):
        allowed_spaces(["~nobody-x/a.toml"])


def test_a_model_whose_code_a_study_would_run_is_allowed_by_name_only(runs: Path) -> None:
    request = {"request": {"model": "my_models:tiny"}}
    with pytest.raises(UserError, match="--allow-model"):
        settings_of(runs, models=allowed_models([])).check_study(request)
    settings_of(runs, models=allowed_models(["my_models:tiny"])).check_study(request)
    with pytest.raises(UserError, match=r"unknown model 'mine\.py'"):
        allowed_models(["mine.py"])


REQUESTS = {
    "data set": {"request": {"dataset": "kvasir", "model": "paper_cnn"}},
    "model": {"request": {"dataset": "fashion_mnist_small", "model": "mine.py"}},
    "'os:system'": {"request": {"model": "os:system"}},
    "'timm/vit_tiny'": {"fixed": {"model": "timm/vit_tiny"}},
}


@pytest.mark.parametrize("what", REQUESTS)
def test_a_copied_study_may_not_read_what_the_service_may_not(settings: Settings, what: str) -> None:
    with pytest.raises(UserError, match=what):
        settings.check_study(REQUESTS[what])


@pytest.mark.parametrize("table", ["request", "fixed"])
@pytest.mark.parametrize("name", PLACES)
def test_no_setting_of_a_copied_study_names_a_file_of_this_machine(
    settings: Settings, name: str, table: str
) -> None:
    with pytest.raises(UserError, match=f"^{name} of this study is /etc/passwd"):
        settings.check_study({table: {name: "/etc/passwd"}})


@pytest.mark.parametrize("name", ["model", "dataset", *PLACES])
@pytest.mark.parametrize(
    "varied",
    [
        {"space": {"parameters": {"NAME": {"type": "choice", "values": ["os:system"]}}}},
        {"space": {"points": [{"lambda1": 0.5}, {"NAME": "os:system"}]}},
        {"queue": [{"NAME": "os:system"}]},
    ],
    ids=["parameter", "point", "queue"],
)
def test_no_trial_of_a_copied_study_chooses_files_or_code_of_its_own(
    settings: Settings, name: str, varied: dict[str, Any]
) -> None:
    altered = json.loads(json.dumps(varied).replace("NAME", name))
    with pytest.raises(UserError, match=f"^{name} differs among the trials"):
        settings.check_study(altered)


def test_a_study_of_an_allowed_folder_may_be_continued(runs: Path, tmp_path: Path) -> None:
    allowed = settings_of(runs, datasets=allowed_datasets([f"folder={tmp_path}"]))
    for init in ("float", "shared"):
        allowed.check_study({"request": {"dataset": "folder", "data_dir": str(tmp_path), "init": init}})
    with pytest.raises(UserError, match="data_dir"):
        allowed.check_study({"request": {"dataset": "folder", "data_dir": "/etc"}})
