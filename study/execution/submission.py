"""A launch that a running Ray runs as a job: its driver outlives the machine and the shell that it was typed in.

The job is Ray's own (`ray job list`, `status`, `logs`, `stop`). The packages of this project travel with it, and the
files that the command names: the space, the target, the user's model. Images and studies do not.
"""

import logging
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ray.job_submission import JobSubmissionClient

from study.planning.spec import Spec
from study.store import database
from study.store.versions import PACKAGES
from study_common.errors import UserError
from study_common.files import expanded
from study_common.output import say
from trainables.choices import is_own_model
from trainables.training.config import IMAGE_PLACES

STARTING_SECONDS = 60
"""How long a Ray that has just started is given until it takes jobs."""
STOP_SECONDS = 60
"""How long a driver may take to stop before Ray kills it, which loses nothing; by itself Ray waits for 3 s."""


def submit(address: str, spec: Spec, words: Sequence[str]) -> int:
    """Send `python -m study.launch WORDS` to the Ray whose dashboard is at `address`, and say how to follow it.

    Returns:
        The exit code, 0: the job is accepted, and has not begun yet.

    Raises:
        UserError: The Ray cannot be reached, or would not find what the command names.
    """
    check(spec)
    with tempfile.TemporaryDirectory(prefix="study-") as folder:
        launch = packed(spec, words, Path(folder))
        environment = {
            "working_dir": folder,
            "py_modules": [str(Path(str(import_module(name).__file__)).parent) for name in PACKAGES],
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)},
        }
        job = _sent(address, launch, environment)
    say(f"job {job} runs at {address}: {launch}")
    for verb in ("status", "logs --follow", "stop"):
        say(f"    ray job {verb} --address {address} {job}")
    return 0


def _sent(address: str, launch: str, environment: dict[str, Any]) -> str:
    for name in ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"):
        logging.getLogger(name).setLevel(logging.WARNING)  # a line for each package
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            client = JobSubmissionClient(address)
            return str(client.submit_job(entrypoint=launch, runtime_env=environment, entrypoint_num_cpus=0))
        except (RuntimeError, OSError, ValueError) as error:
            why = " ".join(str(error).split())[:300]
            if "No available agent" in why and time.monotonic() < deadline:
                time.sleep(3.0)
                continue
            remedy = (
                "another Ray of its machine may have the port of its agent; start it with another "
                "--dashboard-agent-listen-port"
                if "No available agent" in why
                else "give the address of its dashboard, such as http://HEAD:8265, and give this machine its "
                "~/.ray/auth_token"
            )
            raise UserError(f"the Ray at {address} takes no job: {why}; {remedy}") from None


def check(spec: Spec) -> None:
    """Raise UserError if the job would look in a folder that is not there, or its command would show a password."""
    if spec.address not in ("", "auto"):
        raise UserError("a job runs on the Ray that takes it; leave out --address, or leave out --submit")
    if database.has_password(spec.storage):
        raise UserError(
            "Ray shows the command of a job to all of its users; take the password out of --storage, and put it into "
            "~/.pgpass on the machines of the Ray"
        )
    weights = {"--weights": spec.weights, "--set pretrained": str(spec.fixed.get("pretrained", ""))}
    # weights may also have a name, which is no place
    places = {flag: value for flag, value in weights.items() if Path(value).is_file()}
    places |= {"--runs-dir": spec.runs_dir, "--set init": str(spec.fixed.get("init", ""))}
    for name in IMAGE_PLACES:
        places[f"--{name.replace('_', '-')}"] = getattr(spec, name)
        places[f"--set {name}"] = str(spec.fixed.get(name, ""))
    for flag, place in places.items():
        if place and not os.path.isabs(place):
            raise UserError(
                f"{flag} {place} is in the folder of this shell, and the job has another; give an absolute path of the "
                f"{'head' if flag == '--runs-dir' else 'machines'} of the Ray"
            )


def packed(spec: Spec, words: Sequence[str], folder: Path) -> str:
    """Copy what the command names into `folder`, and return the command that the job runs there.

    Raises:
        UserError: A file that it names is not there.
    """
    moved: dict[str, str] = {}
    for kind, name in (("space", spec.space), ("target", spec.target)):
        if name.endswith(".toml"):
            moved[name] = f"{kind}/{expanded(name).name}"
            (folder / kind).mkdir()
            _copy(expanded(name), folder / moved[name])
    if is_own_model(spec.model):
        package = Path(spec.model.partition(":")[0].split(".")[0])
        for source in (package, package.with_suffix(".py")):
            if source.exists():
                _copy(source, folder / source.name)
    kept: list[str] = []
    for word in words:
        flag, equals, value = word.partition("=")
        if kept and _is_submit(kept[-1]):
            kept.pop()
        elif not (equals and _is_submit(flag)):
            kept.append(f"{flag}={moved[value]}" if equals and value in moved else moved.get(word, word))
    address = [] if spec.address else ["--address", "auto"]
    return shlex.join(["python", "-m", "study.launch", *kept, *address])


def _copy(source: Path, place: Path) -> None:
    try:
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place)
    except FileNotFoundError:
        raise UserError(f"there is no file {source}") from None


def _is_submit(word: str) -> bool:
    """Tell whether `word` is the flag, which may be typed in part."""
    return word.startswith("--su") and "--submit".startswith(word)
