"""With which libraries and which code a study runs: at its launch, and whenever that changes."""

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("study", "trainables", "results", "search_spaces", "study_common")
"""The import packages that this project installs."""
_DISTRIBUTIONS = {"torch": "torch", "ray": "ray", "optuna": "optuna", "sgt_pact_study": "sgt-pact-study"}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide what a run gives."""
    found = {"python": platform.python_version()}
    for name, distribution in _DISTRIBUTIONS.items():
        try:
            found[name] = version(distribution)
        except PackageNotFoundError:  # run from a checkout that is not installed
            found[name] = ""
    return found


def git_commit() -> str:
    """Return the commit of the checkout that runs, "" if it is none."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


@cache
def code_digest() -> str:
    """Return a digest of the sources of this package, which machines of one study must have in common."""
    digest = hashlib.sha256()
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None, "it is installed with this module"
        for folder in spec.submodule_search_locations or []:
            for file in sorted(Path(folder).rglob("*.py")):
                digest.update(
                    f"{name}/{file.relative_to(folder)}".encode() + b"\0" + file.read_bytes() + b"\0"
                )
    return digest.hexdigest()


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what differs, one phrase per package.

    >>> differences({"torch": "2.9", "ray": "2.60"}, {"torch": "2.10", "ray": "2.60"})
    ['torch 2.9 -> 2.10']
    """
    names = dict.fromkeys((*before, *now))
    return [
        f"{name} {before.get(name) or '?'} -> {now.get(name) or '?'}"
        for name in names
        if before.get(name) != now.get(name)
    ]
