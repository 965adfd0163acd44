"""The counts of image files against counts by hand."""

from collections import Counter

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from results.analysis.image_files import by_class, by_group, by_reason

ROWS = st.lists(
    st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["", "train", "validation", "test"])),
    max_size=30,
)


@given(ROWS)
def test_every_image_is_counted_once(found: list[tuple[str, str]]) -> None:
    table = by_class(pd.DataFrame(found, columns=["class", "split"]))
    counted = Counter((name, part) for name, part in found if name)
    for name, row in table.iterrows():
        for part in ("train", "validation", "test"):
            assert row[part] == counted[name, part]
        assert row["not used"] == counted[name, ""]
        assert row["found"] == sum(count for (other, _), count in counted.items() if other == name)
    assert set(table.index) == {name for name, _ in found if name}


@given(ROWS)
def test_a_group_counts_as_split_if_images_of_it_are_in_use_in_several_parts(
    found: list[tuple[str, str]],
) -> None:
    groups, several = by_group(pd.DataFrame(found, columns=["group", "split"]))
    parts = {name: {part for other, part in found if other == name and part} for name in ("a", "b")}
    assert groups == sum(bool(some) for some in parts.values())
    assert several == sum(len(some) > 1 for some in parts.values())


def test_reasons_are_counted_without_the_names_in_them() -> None:
    rows = pd.DataFrame({
        "reason": [
            "not an image: .gif", "not an image: .gif", "the same image as a/1.png, of another class",
            "the same image as b/1.png", "", "looks like c/1.png",
        ]
    })  # fmt: skip
    assert by_reason(rows).to_dict() == {
        "not an image: .gif": 2,
        "the same image as another, of another class": 1,
        "the same image as another": 1,
        "used, and looks like one in another part": 1,
    }
