"""Tables of others: what is sound comes back, and what would expand to gigabytes is refused before it does."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from study_common.parquet import read


def test_a_table_comes_back_with_its_types(tmp_path):
    table = pa.table({"a": [1, 2, None], "b": ["x", "", "z"], "c": [0.5, float("inf"), -1.0]})
    pq.write_table(table, tmp_path / "x", row_group_size=2)
    assert read(tmp_path / "x").equals(table)
    pq.write_table(table.slice(0, 0), tmp_path / "empty")
    assert read(tmp_path / "empty").equals(table.slice(0, 0))


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": pa.nulls(20_000_000)}),
        pa.table({"a": pa.repeat(0.5, 11_000_000)}),
        pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), ["x" * 2**20])}),
    ],
    ids=["nothing", "one value", "one long text"],
)
def test_a_small_file_of_a_large_table_is_refused(tmp_path, table):
    pq.write_table(table, tmp_path / "x", compression="zstd", store_schema=False)
    assert (tmp_path / "x").stat().st_size < 2**20
    with pytest.raises(ValueError, match=r"its table (is larger than|takes more than)"):
        read(tmp_path / "x")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"no table" * 100])
def test_what_is_no_table_is_a_value_error(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises((ValueError, OSError)):
        read(tmp_path / "x")
    with pytest.raises(ValueError, match="it is not a regular file"):
        read(tmp_path)
