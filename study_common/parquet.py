"""Parquet files that somebody else may have written: read in memory that does not depend on what they expand to."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from study_common.files import MAX_TEXT_BYTES

MAX_CELLS = 10_000_000
"""Rows times columns up to which a table is read; the largest that are written have some hundred thousand."""
MAX_BYTES = 256 * 2**20
"""Size in memory up to which a table is read."""


def read(path: Path) -> pa.Table:
    """Return the table of a file.

    Raises:
        ValueError: It is not such a file, or the table is larger than the limits; the message is without the path.
        OSError: It cannot be read.
    """
    if not path.is_file():
        raise ValueError("it is not a regular file")
    try:
        with pq.ParquetFile(path) as file:
            return _read(file)
    except (pa.ArrowException, OverflowError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def _read(file: pq.ParquetFile) -> pa.Table:
    about = file.metadata
    stored = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
    if stored > MAX_TEXT_BYTES or about.num_rows * max(1, about.num_columns) > MAX_CELLS:
        raise ValueError(f"its table is larger than {MAX_CELLS} values or {MAX_TEXT_BYTES >> 20} MiB")
    batches, size = [], 0
    # A text that is stored once can be the value of every row; no batch of so few rows is above MAX_BYTES.
    for batch in file.iter_batches(batch_size=max(1, min(2**16, MAX_BYTES // max(1, stored)))):
        batches.append(batch)
        size += batch.nbytes
        if size > MAX_BYTES:
            raise ValueError(f"its table takes more than {MAX_BYTES >> 20} MiB of memory")
    return pa.Table.from_batches(batches, schema=file.schema_arrow)
