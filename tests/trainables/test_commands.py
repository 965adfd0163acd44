"""The commands as they are typed: bad input ends in one line and exit code 2, before anything is trained."""

from pathlib import Path

import pytest

from tests.conftest import Command


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("train --set lambda1", "'lambda1' is not key=value"),
        ("train --set lamda1=1", "'lambda1'"),
        ("train --set bits=5", "2, 3, 4, 6, 8, 32"),
        ("train --set init=NOWHERE", "no checkpoint at NOWHERE"),
        ("train --epochs 3", "unrecognized arguments: --epochs 3; see python -m trainables.train --help"),
        ("train --out FILE", "FILE is a file; name a folder"),
        ("train --out FILE/deeper", "FILE is a file; name a folder"),
        ("evaluate", "required: checkpoint"),
        ("evaluate NOWHERE", "no checkpoint at NOWHERE"),
        ("faithfulness NOWHERE", "no checkpoint at NOWHERE"),
        ("faithfulness FILE --out FILE", "FILE is a file; name a folder"),
        ("export FILE", "required: --out"),
        ("export FILE --out FILE", "FILE is a file; name a folder"),
    ],
)
def test_bad_input_is_one_line(words: str, says: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    code, out, error = command(*f"trainables.{words}".replace("FILE", str(file)).split())
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: ")
    assert says.replace("FILE", str(file)) in error
