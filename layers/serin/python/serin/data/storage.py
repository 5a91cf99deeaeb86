"""How is a typed table kept, and read again?

Datasets are Parquet, which other tools open too (docs/data.md has their schema); what a run hands to its next step is
.npz, whose bytes follow from the table alone, and in which nothing is pickled. Either is read as float64 columns, NaN
where missing, and columns of text.

In .npz a column of text is codes into its distinct values, in the order in which they come, -1 where missing; `meta`
holds names, kinds and values as JSON. Datasets were kept so before they were Parquet, and are read on.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from serin.errors import Unverified

if TYPE_CHECKING:
    import pandas as pd  # evaluation reads columns, and carries no pandas


PARQUET = b"PAR1"


def dump_table(frame: pd.DataFrame) -> bytes:
    """Write a table of numbers (any numeric or boolean dtype) and text; the index is not kept."""
    import pandas as pd

    meta: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for position, name in enumerate(frame.columns):
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column.dtype):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            arrays[f"c{position}"] = np.where(np.isnan(numbers), np.nan, numbers)
            meta.append({"name": str(name), "kind": "number"})
        else:
            codes, distinct = pd.factorize(column)
            arrays[f"c{position}"] = codes.astype(_code_type(len(distinct)))
            meta.append({"name": str(name), "kind": "text", "values": [str(value) for value in distinct]})
    arrays["meta"] = np.frombuffer(json.dumps(meta, separators=(",", ":")).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def load_columns(content: bytes) -> dict[str, NDArray[Any]]:
    """Read a table: float64 arrays, and object arrays of str with None where missing. Of .npz it needs no pandas.

    Raises Unverified where the bytes are not such a table.
    """
    if content.startswith(PARQUET):
        return as_columns(load_table(content))
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            meta = json.loads(archive["meta"].tobytes())
            return {column["name"]: _read_column(archive[f"c{place}"], column) for place, column in enumerate(meta)}
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise Unverified(f"the stored table cannot be read: {error}") from error


def load_names(content: bytes) -> list[str]:
    """Read the names of a table's columns alone. Raises Unverified as load_columns."""
    if content.startswith(PARQUET):
        return [str(name) for name in _open(io.BytesIO(content)).columns]
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return [column["name"] for column in json.loads(archive["meta"].tobytes())]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise Unverified(f"the stored table cannot be read: {error}") from error


def load_last(path: Path, rows: int | None = None) -> pd.DataFrame:
    """Read a table from its file, or of it at least so many of the last rows. Raises Unverified as load_columns."""
    with path.open("rb") as file:
        is_parquet = file.read(len(PARQUET)) == PARQUET
    return _load_parquet(str(path), rows) if is_parquet else load_table(path.read_bytes())


def load_table(content: bytes) -> pd.DataFrame:
    """Read a table as a DataFrame: float64 and `str` columns, NaN where missing. Raises Unverified as load_columns."""
    import pandas as pd

    if content.startswith(PARQUET):
        return _load_parquet(io.BytesIO(content))
    columns = load_columns(content)
    return pd.DataFrame(
        {name: pd.Series(array, dtype="str" if array.dtype == object else None) for name, array in columns.items()}
    )


def as_columns(frame: pd.DataFrame, *names: str | None) -> dict[str, NDArray[Any]]:
    """Give columns of a typed table as `load_columns` does: those named, or all; one that is not there is left out."""
    import pandas as pd

    columns = {}
    for name in names or tuple(map(str, frame.columns)):
        if name is not None and name in frame:
            if pd.api.types.is_numeric_dtype(frame[name].dtype):
                columns[name] = frame[name].to_numpy(np.float64)
            else:
                text = frame[name].astype(object)
                columns[name] = text.where(text.notna(), None).to_numpy(object)
    return columns


def _open(source: io.BytesIO | str) -> Any:
    import fastparquet  # training has no room for pyarrow, which writes these files

    try:
        return fastparquet.ParquetFile(source)
    except Exception as error:  # of a damaged file it may be any
        raise Unverified(f"the stored table cannot be read: {error}") from error


def _load_parquet(source: io.BytesIO | str, last: int | None = None) -> pd.DataFrame:
    import pandas as pd

    file = _open(source)
    first, rows = len(file.row_groups), 0
    while first and (last is None or rows < last):
        first -= 1
        rows += file.row_groups[first].num_rows
    try:
        frame = file[first:].to_pandas() if first else file.to_pandas()
    except Exception as error:
        raise Unverified(f"the stored table cannot be read: {error}") from error
    return pd.DataFrame({name: _typed(frame[name]) for name in frame.columns}, copy=False)


def _typed(column: pd.Series) -> pd.Series:
    """Numbers, booleans and times as float64, times in seconds since 1970; all else as text."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        moments = column.to_numpy(dtype="datetime64[us]")
        return pd.Series(np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6), column.index)
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), column.index)
    return column.astype("str")


def _read_column(array: NDArray[Any], meta: dict[str, Any]) -> NDArray[Any]:
    if meta["kind"] == "number":
        return array
    values = [*meta["values"], None]
    return np.array(values, dtype=object).take(array)


def _code_type(distinct: int) -> type[np.signedinteger[Any]]:
    return np.int8 if distinct <= 127 else np.int16 if distinct <= 32_767 else np.int32
