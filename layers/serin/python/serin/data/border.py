"""From which rows did a version learn? Its border says so for any row, whenever that came and whatever was edited
since.

A row has places: a key by its content, given once when it came in (serin/data/row_keys.py), and what its columns say of
entity and time. A border is a line through one of them: what is below it was learned from.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.errors import Unverified

Keys = NDArray[np.uint64]
Mask = NDArray[np.bool_]
Columns = Mapping[str, NDArray[Any]]

ALL = 2**64  # above every key


@dataclass(frozen=True, slots=True)
class Border:
    """What a version learned from, for every purpose: fitting, search, calibration.

    entity: the column whose hash is the key; None: the key by content. time, until: the column, and the latest second
    of it that was learned from; None where keys alone decide. below: keys less than this, of rows of just that second
    where there is one; ALL of them. moved_in, moved_out: keys that are on the other side all the same, so that each
    side has every class.
    """

    entity: str | None = None
    below: int = ALL
    time: str | None = None
    until: float | None = None
    moved_in: tuple[int, ...] = ()
    moved_out: tuple[int, ...] = ()

    def learned(self, columns: Columns, keys: Keys) -> Mask:
        """Tell which rows are on the learned side. Of a row that lacks entity or time nobody can say: it is on it too.

        columns: as `load_columns` gives them, the entity and the time of the border among them. keys: by content.
        """
        rows = len(keys)
        if any(name is not None and name not in columns for name in (self.entity, self.time)):
            return np.ones(rows, dtype=bool)
        unknown = np.zeros(rows, dtype=bool)
        if self.entity is not None:
            unknown |= _is_missing(columns[self.entity])
            keys = hash_values(columns[self.entity])
        learned = np.ones(rows, dtype=bool) if self.below == ALL else keys < np.uint64(self.below)
        if self.time is not None and self.until is not None:
            times = columns[self.time].astype(np.float64)
            unknown |= np.isnan(times)
            learned = (times < self.until) | ((times == self.until) & learned)
        learned &= ~np.isin(keys, np.array(self.moved_out, dtype=np.uint64))
        learned |= np.isin(keys, np.array(self.moved_in, dtype=np.uint64))
        return learned | unknown

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Border:
        body = json.loads(content)
        return cls(**{**body, "moved_in": tuple(body["moved_in"]), "moved_out": tuple(body["moved_out"])})


def write_keys(path: Path, **arrays: Keys) -> None:
    """Write keys as .npz; the same keys give the same bytes."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_keys(content: bytes) -> dict[str, Keys]:
    """Read what `write_keys` wrote. Raises Unverified where the bytes are no such file."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name].astype(np.uint64) for name in archive.files}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise Unverified(f"the stored keys cannot be read: {error}") from error


def hash_values(column: NDArray[Any]) -> Keys:
    """Hash each value of a column; equal values give the same on any machine. Whole numbers hash like their text."""
    if column.dtype != object:
        numbers = column.astype(np.float64)
        distinct, place = np.unique(numbers, return_inverse=True)
        texts = [str(int(value)) if float(value).is_integer() else str(value) for value in distinct]
    else:
        texts, place = number_values(column)
    return mix(np.array([hash_text(text) for text in texts], dtype=np.uint64))[place]


def number_values(column: NDArray[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """Number the distinct values of a column, missing ones as one. Gives their texts, and for each row its number."""
    numbers: dict[str, int] = {}
    is_missing = _is_missing(column)
    place = [
        numbers.setdefault("" if missing else str(value), len(numbers))
        for value, missing in zip(column, is_missing, strict=True)
    ]
    return list(numbers), np.array(place, dtype=np.int64)


def hash_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def mix(bits: Keys) -> Keys:
    """Spread 64 bits evenly. Source: Steele, Lea and Flood, SplittableRandom (2014), its finaliser."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


def _is_missing(column: NDArray[Any]) -> Mask:
    if column.dtype != object:
        return np.isnan(column.astype(np.float64))
    return np.array([value is None or value != value for value in column], dtype=bool)  # NaN is not itself
