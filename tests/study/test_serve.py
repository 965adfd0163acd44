"""`python -m study.serve` as it is typed: what is wrong is one line, exit code 2, and nothing is written."""

import socket
from pathlib import Path

import pytest

from tests.conftest import Command

BAD = {
    "--port 70000": "0 to 65535",
    "--port many": "--help",
    "--max-running 0": "above 0",
    "--token-days -1": "above 0",
    "--allow-space nowhere.toml": "cannot read",
    "--allow-dataset kvasir": "NAME=FOLDER",
    "--allow-dataset kvazir=/tmp": "kvasir",
    "--allow-model paper_cn": "paper_cnn",
    "--host no.such.host.invalid": "--host",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line(words: str, command: Command, tmp_path: Path) -> None:
    code, out, error = command("study.serve", *words.split(), "--runs-dir", str(tmp_path / "runs"))
    assert (code, out) == (2, "")
    assert len(error.strip().splitlines()) == 1, error
    assert BAD[words] in error


def test_a_port_in_use_and_a_directory_of_other_things(command: Command, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, error = command("study.serve", "--port", port, "--runs-dir", str(tmp_path / "runs"))
        assert (code, f"port {port} is in use" in error) == (2, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    code, _, error = command("study.serve", "--port", "0", "--runs-dir", str(tmp_path / "other"))
    assert (code, "no study" in error) == (2, True)
