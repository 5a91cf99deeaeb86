"""How do rows become what a graph reads? As columns of doubles that only have to be compared, or added up.

Laid out at export, and written into the graph itself: a column for each number and each value that a missing one
counts as, and a column of zeros and ones for each code that the model asks for. So a graph needs no question for what
is missing, and none for what a code is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import getitem, itemgetter
from struct import Struct, error
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.contract.serving_spec import ServingSpec
from serin.errors import Unverified
from serin.serving.rows.encode import Arrays, PlainRow

COLUMNS = "columns"  # the graph's input, and where its metadata say what these are

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Columns:
    """The layout. The first columns are numbers: which of the spec's, and what a missing one is; then come codes:
    of which of the spec's categories, and which code.
    """

    numbers: Ints
    missing: Floats
    categories: Ints
    codes: Ints

    @classmethod
    def of(cls, numbers: Sequence[tuple[int, float]], codes: Sequence[tuple[int, int]]) -> Columns:
        """Lay out pairs of a number's place and what a missing one is, and pairs of a category's place and a code."""
        return cls(
            np.array([place for place, _ in numbers], dtype=np.int64),
            np.array([missing for _, missing in numbers], dtype=np.float64),
            np.array([place for place, _ in codes], dtype=np.int64),
            np.array([code for _, code in codes], dtype=np.int64),
        )

    @classmethod
    def from_json(cls, text: str, spec: ServingSpec) -> Columns:
        """Read what `to_json` wrote. Raises Unverified where it is no layout of the spec's features."""
        numbers = {feature.name: place for place, feature in enumerate(spec.numeric)}
        categories = {feature.name: place for place, feature in enumerate(spec.categories)}
        try:
            layout = json.loads(text)
            return cls.of(
                [(numbers[name], float(missing)) for name, missing in layout["numbers"]],
                [(categories[name], int(code)) for name, code in layout["codes"]],
            )
        except (ValueError, KeyError, TypeError) as error:
            message = f"the model does not say which of its spec's features it reads, and how: {error}"
            raise Unverified(message, code="CONTRACT") from error

    def to_json(self, spec: ServingSpec) -> str:
        """Write the layout with the features' names."""
        numbers = [spec.numeric[place].name for place in self.numbers]
        missing = map(repr, self.missing.tolist())  # JSON has no infinity
        categories = [spec.categories[place].name for place in self.categories]
        layout = {
            "numbers": [*zip(numbers, missing, strict=True)],
            "codes": [*zip(categories, self.codes.tolist(), strict=True)],
        }
        return json.dumps(layout, separators=(",", ":"))

    def __len__(self) -> int:
        return len(self.numbers) + len(self.codes)

    def pack(self, rows: Arrays) -> Floats:
        """Write rows as an array of shape (n, columns)."""
        packed = np.empty((rows.row_count, len(self)))
        border: Any = len(self.numbers)
        numbers = packed[:, :border]
        numbers[:] = rows.numeric[:, self.numbers]
        np.copyto(numbers, self.missing, where=np.isnan(rows.numeric)[:, self.numbers])
        codes = rows.codes.astype(np.int32)  # compared in half the time
        packed[:, border:] = codes.take(self.categories, axis=1) == self.codes.astype(np.int32)
        return packed


class RowPacker:
    """Writes one plain row as the bytes of its columns: without NumPy, whose calls would take longer than the model."""

    def __init__(self, columns: Columns) -> None:
        self._dump = Struct(f"{len(columns.numbers)}d").pack
        self._pick_numbers = _picker(columns.numbers.tolist())
        self._missing = columns.missing.tolist()
        places, self._bytes = [], []
        pairs = zip(columns.categories.tolist(), columns.codes.tolist(), strict=True)
        for place, group in groupby(pairs, key=lambda pair: pair[0]):
            codes = np.array([code for _, code in group])
            known = {int(code): (codes == code).astype(np.float64).tobytes() for code in codes}
            places.append(place)
            self._bytes.append(defaultdict(partial(bytes, 8 * len(codes)), known))
        self._pick_codes = _picker(places)

    def __call__(self, row: PlainRow) -> bytes:
        values = self._pick_numbers(row.numbers)
        try:
            numbers = self._dump(*values)
        except error:  # a None: to look for one takes longer than to write them all
            pairs = zip(values, self._missing, strict=True)
            numbers = self._dump(*[missing if value is None else value for value, missing in pairs])
        return b"".join([numbers, *map(getitem, self._bytes, self._pick_codes(row.known))])


def _picker(places: list[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Make what gives the values at these places, however many they are."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: [values[place] for place in places]
