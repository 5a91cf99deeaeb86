"""What are the cells of a table before anything is made of them, and where did they stand?"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.data.cells import as_text, is_coded, is_text

Lines = NDArray[np.int64]
NOWHERE: Lines = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class RawTable:
    """Cells as they were written: from CSV all text, from Parquet text, numbers, booleans and times, NA where null.

    A table, or a part of one; a part may have text as codes (`is_coded`). lines: where each row of `frame` stands in
    the file, from 1; place: what that counts, `line` or `row`. unusable: columns that hold no single values, with what
    they hold; they are not in `frame`. blank: where rows stand in which nothing is written; they are not in `frame`. Of
    empty lines, those between rows. above: lines above the names that are no rows. encoding: that of text. unnamed:
    columns without a name in which nothing is written. reread: gives rows as they were written, by their places, where
    `frame` holds numbers in place of their cells. may_lack_columns: other parts may have others.
    """

    frame: pd.DataFrame
    lines: Lines
    place: str = "line"
    unusable: dict[str, str] = field(default_factory=dict)
    blank: Lines = field(default_factory=lambda: NOWHERE)
    above: tuple[str, ...] = ()
    encoding: str = "utf-8"
    unnamed: frozenset[str] = frozenset()
    reread: Callable[[Lines], pd.DataFrame] | None = None
    may_lack_columns: bool = False

    def with_blank(self) -> RawTable:
        """Give the same table with a row of empty cells for each blank one, in its place."""
        if not len(self.blank):
            return self
        lines = np.concatenate((self.lines, self.blank))
        order = np.argsort(lines, kind="stable")
        written = self.frame if self.reread is None else self.reread(np.arange(len(self.lines)))
        nothing = pd.DataFrame({name: [None] * len(self.blank) for name in written.columns}, dtype="str")
        frame = join_frames([written, nothing])
        for name in frame.columns:
            if is_text(frame[name]):
                frame[name] = frame[name].fillna("")
        return RawTable(frame.iloc[order].reset_index(drop=True), lines[order], self.place, self.unusable)

    def as_written(self, places: Lines) -> pd.DataFrame:
        """Give some rows as they were written."""
        if self.reread is not None:
            return self.reread(places)
        rows = self.frame.iloc[places]
        return rows.assign(**{str(name): as_text(rows[name]) for name in rows.columns if is_coded(rows[name])})

    def cell(self, column: str, place: int) -> object:
        """Give one cell as text, as it was written."""
        return as_text(self.as_written(np.array([place]))[column]).iloc[0]


def join_frames(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put parts of a table below each other. A column that some lack is empty there; one of several kinds is text."""
    columns: dict[str, pd.Series] = {}
    for name in dict.fromkeys(name for frame in frames for name in frame.columns):
        parts = [
            (as_text(frame[name]) if is_coded(frame[name]) else frame[name])
            if name in frame
            else pd.Series([None] * len(frame), dtype="str")
            for frame in frames
        ]
        families = {_family(part) for part in parts if not part.isna().all()}
        if len(families) > 1:
            parts = [as_text(part) for part in parts]
        dtypes = {part.dtype for part in parts if not part.isna().all()}
        dtype = dtypes.pop() if len(dtypes) == 1 else "Float64" if families == {"number"} else "str"
        columns[name] = pd.concat(
            [pd.Series([None] * len(part), dtype=dtype) if part.isna().all() else part for part in parts],
            ignore_index=True,
        )
    return pd.DataFrame(columns)


def _family(cells: pd.Series) -> str:
    if is_text(cells):
        return "text"
    if pd.api.types.is_bool_dtype(cells.dtype):
        return "boolean"
    return "number" if pd.api.types.is_numeric_dtype(cells.dtype) else "time"


def tidy_name(name: str) -> str:
    """Give a column's name the one form that it has everywhere."""
    return unicodedata.normalize("NFC", name.strip())


def name_some(names: Sequence[object]) -> str:
    """Name the first five of many, and say how many more there are."""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
