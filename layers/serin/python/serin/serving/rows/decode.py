"""How is a request read fast? By a decoder compiled once from the spec, straight from bytes to the model's arrays.

It takes only what needs no remark. Whatever it does not take (a wrong value, a key twice, a category never seen) it
leaves to `read_rows` and `encode`, which read the same and say what is wrong: so it is fast without being lax.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import getitem
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from serin.contract.serving_spec import ServingSpec, SpecFeature
from serin.serving.rows.encode import Arrays, Encoded, PlainRow, bounds_of, entity_text

_Values = tuple[Any, ...]
MOST_EXACT = 2**53


class RowDecoder:
    """Reads `{"rows": [...]}` for one model version."""

    def __init__(self, spec: ServingSpec, *, max_rows: int) -> None:
        features = (*spec.numeric, *spec.categories)
        others = [name for name in spec.other_columns if name not in {feature.name for feature in features}]
        # An entity's number is read whole: a float does not hold all of it.
        kinds = [str | int | float if name == spec.entity else str | float for name in others]
        types = [*map(_type_of, features), *(kind | None | UnsetType for kind in kinds)]
        names = [*(feature.name for feature in features), *others]
        self._entity = names.index(spec.entity) if spec.entity in names else None
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._border = len(spec.numeric)
        self._end = len(features)
        self._whole = [place for place, feature in enumerate(spec.numeric) if feature.type == "integer"]
        self._codes = [_codes_of(feature) for feature in spec.categories]
        if any(_has_to_be_escaped(name) for name in names):
            return  # such a name is written with a backslash, and so always read the careful way
        row = msgspec.defstruct(
            "Row",
            [
                (f"f{place}", kind, UNSET) if _may_be_absent(kind) else (f"f{place}", kind)
                for place, kind in enumerate(types)
            ],
            rename={f"f{place}": name for place, name in enumerate(names)},
            forbid_unknown_fields=True,
            kw_only=True,
        )
        rows = Annotated[list[row], Meta(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]  # made just now
        body = msgspec.defstruct("Body", [("rows", rows)], forbid_unknown_fields=True)
        self._decoder = msgspec.json.Decoder(body)

    def decode(self, body: bytes) -> Encoded | None:
        """Read a body; None where it has to be read the careful way."""
        if self._decoder is None:
            return None
        try:
            rows = [msgspec.structs.astuple(row) for row in self._decoder.decode(body).rows]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        # msgspec lets a key stand twice, and the last one count: then there are more quotes than what it read has.
        try:
            read = [self._read(row) for row in rows]
        except KeyError:  # never seen in training, or spelled in another way
            return None
        numbers, codes, quotes = zip(*read, strict=True)
        if b"\\" in body or body.count(b'"') != 2 + sum(quotes):
            return None
        if self._whole and not all(self._is_whole(row) for row in numbers):
            return None
        count, entity, is_mixed = len(rows), None, False
        if self._entity is not None:
            if self._entity < self._border and any(_is_cut(row[self._entity]) for row in rows):
                return None
            entity = entity_text(rows[0][self._entity])
            is_mixed = count > 1 and any(entity_text(row[self._entity]) != entity for row in rows)
        values = (
            PlainRow(numbers[0], codes[0])
            if count == 1
            else Arrays(np.array(numbers, dtype=np.float64), np.array(codes, dtype=np.int64))
        )
        return Encoded(values, ((),) * count, rows, None if is_mixed else entity, is_mixed)

    def _read(self, row: _Values) -> tuple[_Values, list[int], int]:
        """Take a row's numbers and codes, and count the quotes it was written with: two a key, and two a text."""
        numbers, absent = row[: self._border], row.count(UNSET)
        if absent:
            numbers = tuple(None if value is UNSET else value for value in numbers)
        codes = [*map(getitem, self._codes, row[self._border : self._end])]
        return numbers, codes, 2 * (len(row) - absent + [*map(type, row[self._border :])].count(str))

    def _is_whole(self, numbers: Sequence[float | None]) -> bool:
        return all(value is None or value.is_integer() for value in (numbers[place] for place in self._whole))


def _has_to_be_escaped(name: str) -> bool:
    return any(character in '"\\' or character < " " for character in name)


def _type_of(feature: SpecFeature) -> Any:
    low, high = bounds_of(feature)
    kinds = {"boolean": bool, "category": str}
    kind = kinds.get(feature.type, Annotated[float, Meta(ge=low, le=high)])
    return kind | None | UnsetType if feature.allows_missing else kind


def _may_be_absent(kind: Any) -> bool:
    return UnsetType in getattr(kind, "__args__", ())


def _codes_of(feature: SpecFeature) -> dict[Any, int]:
    codes: dict[Any, int] = {value: code for code, value in enumerate(feature.values)}
    return codes | dict.fromkeys((None, UNSET), feature.missing_code) if feature.allows_missing else codes


def _is_cut(number: Any) -> bool:
    """Tell whether a number may have been another one before it was read as a double."""
    return isinstance(number, float) and abs(number) >= MOST_EXACT
