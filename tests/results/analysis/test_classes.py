"""Confusion matrices as trials leave them, and what they say of each class."""

import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import results
from tests.results import sample


@given(st.integers(2, 6).flatmap(lambda c: arrays(int, (c, c), elements=st.integers(0, 9))))
def test_by_class_counts_one_class_against_the_others(counts):
    truth, guess = (
        np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape)
    )  # image by image
    for label, row in enumerate(results.class_metrics(pd.DataFrame(counts)).itertuples()):
        mine, taken = truth == label, guess == label
        assert row.images == mine.sum()
        for found, hits, of in (
            (row.sensitivity, mine & taken, mine),
            (row.specificity, ~mine & ~taken, ~mine),
        ):
            assert np.isnan(found) if not of.any() else found == pytest.approx(hits.sum() / of.sum())


@pytest.mark.parametrize(
    "names", [["0", "01", "1.0"], ["NA", "null", "x,y"], ["é polyp", 'a "b"', " "]], ids=str
)
def test_class_names_come_back_as_they_were(study_path, tmp_path, names):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    written = sample.write_confusion(copy, 3, names)
    pd.testing.assert_frame_equal(results.confusion_matrix(results.load(copy), 3), written)


@pytest.mark.parametrize(
    "damage", ["", "class,a,b\n", "class,a,b\na,1\n", "class,a,b\na,1,x\nb,1,2\n", "\0\xff"]
)
def test_a_damaged_matrix_is_left_out(study_path, tmp_path, damage):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    sample.write_confusion(copy, 3, ["a", "b"])
    (copy / "trials" / "3" / "confusion.csv").write_text(damage, "latin-1")
    assert results.confusion_matrix(results.load(copy), 3) is None
