"""How is a typed table kept? As an .npz whose bytes follow from the table alone, and in which nothing is pickled.

A column of numbers is float64, NaN where missing. A column of text is codes into its distinct values, in the order in
which they come, -1 where missing. `meta` holds names, kinds and values as JSON. Entries are not compressed: compressors
differ between machines, and a dataset's id is the hash of these bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from serin.errors import Unverified

if TYPE_CHECKING:
    import pandas as pd  # evaluation reads columns, and carries no pandas


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
    """Read a table without pandas: float64 arrays, and object arrays of str with None where missing.

    Raises Unverified where the bytes are not such a table.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            meta = json.loads(archive["meta"].tobytes())
            return {column["name"]: _read_column(archive[f"c{place}"], column) for place, column in enumerate(meta)}
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise Unverified(f"the stored table cannot be read: {error}") from error


def load_names(content: bytes) -> list[str]:
    """Read the names of a table's columns alone. Raises Unverified as load_columns."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return [column["name"] for column in json.loads(archive["meta"].tobytes())]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise Unverified(f"the stored table cannot be read: {error}") from error


def load_table(content: bytes) -> pd.DataFrame:
    """Read a table as a DataFrame: float64 and `str` columns, NaN where missing. Raises Unverified as load_columns."""
    import pandas as pd

    columns = load_columns(content)
    return pd.DataFrame(
        {name: pd.Series(array, dtype="str" if array.dtype == object else None) for name, array in columns.items()}
    )


def _read_column(array: NDArray[Any], meta: dict[str, Any]) -> NDArray[Any]:
    if meta["kind"] == "number":
        return array
    values = [*meta["values"], None]
    return np.array(values, dtype=object).take(array)


def _code_type(distinct: int) -> type[np.signedinteger[Any]]:
    return np.int8 if distinct <= 127 else np.int16 if distinct <= 32_767 else np.int32
