"""A file of rows against a list of rows."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from trainables.data.images.decoded_files import RowFile


@given(st.integers(1, 30), st.integers(1, 5), st.data())
def test_rows_are_reordered_and_cut_as_a_list_would_be(tmp_path_factory, count, width, data):
    order = data.draw(st.permutations(range(count)))
    kept, narrow = data.draw(st.integers(0, count)), data.draw(st.integers(1, width))
    rows = [bytes([number] * (width - 1) + [255 - number]) for number in range(count)]
    path = tmp_path_factory.mktemp("rows") / "rows.bin"
    file = RowFile(path, count, width)
    for number, row in enumerate(rows):
        file.write(number, row)
    file.reorder(order)
    assert path.read_bytes() == b"".join(rows[number] for number in order)
    file.keep(kept, narrow)
    expected = b"".join(rows[number][:narrow] for number in order[:kept])
    assert path.read_bytes() == expected
    assert b"".join(file.chunks(0, kept)) == expected
    assert file.sha256() == hashlib.sha256(expected).hexdigest()
    file.close()
