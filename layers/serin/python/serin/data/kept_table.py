"""What is in the files that judging an upload left? Its good rows, typed and hashed, without all of them in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from serin.data.border import Keys
from serin.data.row_keys import row_hashes
from serin.data.write import HASHES, TABLE

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class KeptTable:
    """The good rows of an upload in a folder, as `place_rows` and `doubt_upload` see them."""

    folder: Path

    @property
    def features(self) -> Keys:
        return np.fromfile(self.folder / HASHES[0], dtype=np.uint64)

    @property
    def rows(self) -> Keys:
        return np.fromfile(self.folder / HASHES[1], dtype=np.uint64)

    def hash_rows(self, columns: Sequence[str]) -> Keys:
        file = pq.ParquetFile(self.folder / TABLE)
        names = [name for name in file.schema_arrow.names if name in columns]
        batches = file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=names)
        return np.concatenate([row_hashes(_typed(batch), columns) for batch in batches])

    def take(self, places: NDArray[np.int64]) -> pd.DataFrame:
        """Give some rows, in the order of the table. places: ascending."""
        file, frames, before = pq.ParquetFile(self.folder / TABLE), [], 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            inside = places[(places >= before) & (places < before + rows)] - before
            if len(inside):
                frames.append(_typed(file.read_row_group(group).take(inside)))
            before += rows
        return pd.concat(frames, ignore_index=True)


def _typed(table: pa.Table | pa.RecordBatch) -> pd.DataFrame:
    """Give a table as it was before it was written: float64, times in seconds since 1970, and text."""
    columns = {}
    for column in table.schema:
        cells = table.column(column.name)
        if pa.types.is_timestamp(column.type):
            columns[column.name] = pd.Series(_numbers(cells.cast(pa.int64())) / 1e6)
        elif column.type == pa.string():
            columns[column.name] = pd.Series(cells.cast(pa.large_string()).to_pandas(), dtype="str")
        else:
            columns[column.name] = pd.Series(_numbers(cells))
    return pd.DataFrame(columns, copy=False)


def _numbers(cells: pa.ChunkedArray | pa.Array) -> NDArray[np.float64]:
    return np.asarray(cells.cast(pa.float64()).to_pandas(), dtype=np.float64)
