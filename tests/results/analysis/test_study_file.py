"""`study.toml` as read: its types checked, or one sentence that says what to do."""

import os
import shutil

import pytest
import tomli_w

import results
from results.analysis.study_file import read_study_file
from study_common import layout
from study_common.errors import UserError
from tests.results import sample


@pytest.fixture
def write(tmp_path):
    """Write a document as study.toml; return its path."""

    def call(document):
        file = tmp_path / layout.REQUEST_FILE
        sample.write(file, tomli_w.dumps(document))
        return file

    return call


def test_what_was_written_comes_back(write):
    document = sample.request()
    assert read_study_file(write(document)) == document


def rejected(file):
    with pytest.raises(UserError) as caught:
        read_study_file(file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["name", "objectives", "constraints"])
def test_a_part_that_is_missing_is_named(write, name):
    document = sample.request()
    del document[name]
    assert f"lacks {name}; copy the study again" in rejected(write(document))


@pytest.mark.parametrize(
    "changes",
    [
        {"direction": "up"},
        {"reference": 1.0},  # equal to the ideal: a hypervolume would divide by 0
        {"ideal": float("inf")},
        {"reference": float("nan")},
    ],
)
def test_an_objective_that_spans_no_interval_is_named(write, changes):
    pair = {"direction": "max", "ideal": 1.0, "reference": 0.0, **changes}
    said = rejected(write(sample.request(objectives={"accuracy": pair})))
    assert "has no valid direction, ideal and reference of accuracy" in said


def test_an_objective_with_more_than_this_version_knows_is_rejected(write):
    pair = {"direction": "max", "ideal": 1.0, "reference": 0.0, "weight": 2.0}
    assert "says more of accuracy than this version knows" in rejected(
        write(sample.request(objectives={"accuracy": pair}))
    )


def test_a_value_of_another_type_is_rejected(write):
    assert "constraints" in rejected(write(sample.request(constraints={"flops": "low"})))


def test_a_file_beyond_the_limit_is_not_read(write):
    """Gigabytes that take no room on the disk used to end a command for want of memory."""
    file = write(sample.request())
    os.truncate(file, 3 * 2**30)
    assert "it is larger than 32 MiB" in rejected(file)


def test_a_file_that_was_altered_or_came_without_its_digest_is_rejected(write):
    file = write(sample.request())
    file.write_text(file.read_text().replace("reference = 0.1", "reference = 0.2"))
    assert "altered since it was written" in rejected(file)
    (write(sample.request()).parent / layout.DIGESTS_FILE).unlink()
    assert "its digest is not in SHA256SUMS" in rejected(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a study: it has no study.toml"),
        ("format = 1\nname = 'sample'", f"has format 1 and this version reads {layout.FORMAT}"),
        (f"format = {layout.FORMAT}\nname = ", "study.toml cannot be read"),
        (f"format = {layout.FORMAT}\nname = 'sample'", "lacks constraints, objectives"),
    ],
)
def test_a_folder_that_is_no_study_is_one_clear_line(study_path, tmp_path, content, message):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    (copy / layout.REQUEST_FILE).unlink()
    if content is not None:
        (copy / layout.REQUEST_FILE).write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        results.load(copy)
    assert "\n" not in str(caught.value)
