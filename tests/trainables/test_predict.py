"""`python -m trainables.predict`, and `evaluate` on an outside test set, as they are typed."""

import csv
import json
import os
from pathlib import Path

from PIL import Image

from study_common import layout
from tests.conftest import Command


def test_a_table_of_probabilities_and_overlays(
    command: Command, striped: Path, stripes: Path, tmp_path: Path
) -> None:
    out, overlays = tmp_path / "new" / "predictions.csv", tmp_path / "overlays"
    one = tmp_path / "=sum.png"
    one.write_bytes((stripes / "plain" / "0.png").read_bytes())
    code, printed, error = command(
        "trainables.predict", str(striped / layout.CHECKPOINT_FILE), str(stripes / "down"), str(one),
        "--out", str(out), "--overlays", str(overlays),
    )  # fmt: skip
    assert (code, error) == (0, "")
    *lines, last = printed.splitlines()
    assert len(lines) == 41
    assert json.loads(last) == {"images": 41}
    assert lines[0].startswith(f"{stripes}/down/0.png: down 0.") or lines[0].endswith("down 1.000")
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0]) == ["path", "class", "probability", "p(across)", "p(down)", "p(plain)", "overlay"]
    assert [row["class"] for row in rows] == ["down"] * 40 + ["plain"]
    for row in rows:
        shares = {name: float(row[f"p({name})"]) for name in ("across", "down", "plain")}
        assert max(shares, key=lambda name: shares[name]) == row["class"]
        with Image.open(row["overlay"]) as overlay:
            assert overlay.size == (256, 256)


def test_overlays_are_not_written_through_links(
    command: Command, striped: Path, stripes: Path, tmp_path: Path
) -> None:
    words = [
        str(striped / layout.CHECKPOINT_FILE),
        str(stripes / "plain" / "0.png"),
        "--overlays",
        str(tmp_path),
    ]
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "1-0.png").symlink_to(tmp_path / "mine")
    assert command("trainables.predict", *words)[0] == 0
    assert (tmp_path / "mine").read_text() == "mine"
    with Image.open(tmp_path / "1-0.png") as overlay:
        assert overlay.size == (256, 256)
    (tmp_path / "1-0.png").unlink()
    os.mkfifo(tmp_path / "1-0.png")
    code, _, error = command("trainables.predict", *words)
    assert (code, error) == (
        2,
        f"error: {tmp_path}/1-0.png is not a file that can be replaced; choose another path\n",
    )


def test_bad_input_is_one_line(command: Command, striped: Path, tmp_path: Path) -> None:
    checkpoint = str(striped / layout.CHECKPOINT_FILE)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "pipe.png")
    for words, says in (
        ([checkpoint, str(tmp_path / "folder")], "pipe.png cannot be used: it is not a regular file"),
        ([checkpoint, str(tmp_path / "text.png")], "text.png cannot be used: it is none of JPEG"),
        ([checkpoint, "nowhere.png"], "there is no image nowhere.png"),
        (["nowhere.safetensors", str(tmp_path / "text.png")], "no checkpoint at nowhere.safetensors"),
        ([checkpoint, "x.png", "--out", str(tmp_path)], "is a folder; name a file"),
        (
            [checkpoint, "x.png", "--out", str(tmp_path / "text.png" / "x.csv")],
            "text.png is a file; name a folder",
        ),
        ([checkpoint], "images"),
    ):
        code, printed, error = command("trainables.predict", *words)
        assert (code, printed) == (2, "")
        assert len(error.splitlines()) == 1
        assert says in error
