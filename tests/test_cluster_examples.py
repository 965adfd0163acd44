"""The examples for clusters: they parse, and every command in them is one that this version and this Ray take.

No cluster of these kinds is started here; docs/cluster.md says so.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts import scripts

from study.planning.command_line import parse

FOLDER = Path(__file__).parents[1] / "examples" / "cluster"
FILES = ("ray-up.yaml", "kuberay-rayjob.yaml", "study.slurm")


def lines_of(name: str) -> Iterator[str]:
    """Yield the lines of a file, those that end with a backslash or belong to one entry joined."""
    text = (FOLDER / name).read_text()
    if name.endswith(".slurm"):
        yield from text.replace("\\\n", " ").splitlines()
        return

    def texts(node: Any) -> Iterator[str]:
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict | list):
            for each in node.values() if isinstance(node, dict) else node:
                yield from texts(each)

    yield from texts(yaml.safe_load(text))


def commands(name: str, start: str) -> list[list[str]]:
    """Return the words after `start` of each command that begins so, up to what the shell takes."""
    found = (re.search(rf"{start}(.*)", line) for line in lines_of(name))
    return [shlex.split(re.split(r" &| \||>|;", one[1])[0]) for one in found if one]


@pytest.mark.parametrize("name", ["kuberay-rayjob.yaml", "study.slurm"])
def test_the_launch_is_a_valid_command_line(name: str) -> None:
    (words,) = commands(name, "python -m study.launch ")
    asked = parse("study.launch", "", words)
    assert asked.spec.space == "mixed_bits"
    assert asked.spec.address
    assert not asked.spec.runs_dir.startswith("runs"), "a relative path is another one on each machine"


@pytest.mark.parametrize("name", ["ray-up.yaml", "study.slurm"])
def test_ray_takes_every_option_of_its_start(name: str) -> None:
    found = commands(name, "ray start ")
    assert len(found) == 2
    assert [words[0] == "--head" for words in found] == [True, False]
    known = {option for parameter in scripts.start.params for option in parameter.opts}
    for words in found:
        assert {word.partition("=")[0] for word in words} <= known


def test_the_slurm_script_is_valid_and_keeps_to_what_is_its_own() -> None:
    path = FOLDER / "study.slurm"
    subprocess.run(["bash", "-n", path], check=True)
    text = path.read_text()
    for shared in ("ray stop", "pkill", "killall", "--port=6379", "/tmp/ray "):
        assert shared not in text, "it would meet the Ray of another user on the machine"
    assert "umask 077" in text
    assert "$SLURM_JOB_ID" in re.search(r"^folder=(.*)", text, re.MULTILINE)[1]  # type: ignore[index]
    (words,) = commands("study.slurm", "python -m study.resume ")
    assert "--address" in words


def test_the_job_of_kuberay_has_what_its_kind_requires() -> None:
    manifest = yaml.safe_load((FOLDER / "kuberay-rayjob.yaml").read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    cluster = manifest["spec"]["rayClusterSpec"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert all(pod["template"]["spec"]["containers"][0]["image"] for pod in pods)
    mounted = [pod["template"]["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] for pod in pods]
    (words,) = commands("kuberay-rayjob.yaml", "python -m study.launch ")
    assert all(words[words.index("--runs-dir") + 1].startswith(path) for path in mounted)
    assert "password" not in words[words.index("--storage") + 1]


def test_the_configuration_of_ray_up_is_one() -> None:
    config = yaml.safe_load((FOLDER / "ray-up.yaml").read_text())
    validate_config(prepare_config(config))
