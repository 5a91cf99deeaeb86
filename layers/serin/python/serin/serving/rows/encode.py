"""Is a row what the model takes, and as which numbers does the model read it?

A number is read as the nearest double, as pandas reads it in training. A category is read as its code; one never seen
in training is answered too, with a note.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from serin.contract.notation import tidy
from serin.contract.serving_spec import NO_CATEGORY, ServingSpec, SpecFeature, label_text
from serin.errors import InvalidRows, RowProblem

# What a number may be at most, in uploads, batches, requests and feedback: single precision, in which forests compare,
# holds no more, and beyond it nobody measures.
MAX_MAGNITUDE = 3.4e38
UNKNOWN = -1
MOST_SENT = 100  # rows whose values are kept as they were read
MOST_UNKNOWN = 100  # looking for the nearest name takes time, and a body can hold thousands


class Arrays(NamedTuple):
    """Rows as arrays. numeric: (n, numbers), NaN where missing; codes: (n, categories), int64."""

    numeric: NDArray[np.float64]
    codes: NDArray[np.int64]

    @property
    def row_count(self) -> int:
        return len(self.numeric)

    def part(self, start: int, end: int) -> Arrays:
        return Arrays(self.numeric[start:end], self.codes[start:end])


class PlainRow(NamedTuple):
    """One row as plain values, None where a number is missing: for one, arrays take longer than all that follows."""

    numbers: Sequence[float | None]
    known: Sequence[int]

    @property
    def numeric(self) -> NDArray[np.float64]:
        return np.array([self.numbers], dtype=np.float64)

    @property
    def codes(self) -> NDArray[np.int64]:
        return np.array([self.known], dtype=np.int64)

    @property
    def row_count(self) -> int:
        return 1


@dataclass(slots=True)  # made for every request, and a frozen one takes three times as long
class Encoded:
    """Rows as the model reads them.

    notes: per row, what whoever asked should know about its answer. sent: of the first rows at least, the values as
    they were read, numbers and then categories; more may follow. entity: whom the rows are about, where they say so and
    all say the same; is_mixed: they do not.
    """

    values: Arrays | PlainRow
    notes: tuple[tuple[str, ...], ...] = ()
    sent: Sequence[tuple[Any, ...]] = ()
    entity: str | None = None
    is_mixed: bool = False

    def __len__(self) -> int:
        return self.values.row_count

    @property
    def numeric(self) -> NDArray[np.float64]:
        """Numbers, shape (n, numbers), NaN where missing."""
        return self.values.numeric

    @property
    def codes(self) -> NDArray[np.int64]:
        """Codes of categories, shape (n, categories)."""
        return self.values.codes


class Bounded(Protocol):
    """What says which numbers it takes: a feature of a contract, or of a spec."""

    @property
    def min(self) -> float | None: ...

    @property
    def max(self) -> float | None: ...


Value = TypeVar("Value", float, str | None)


class _Invalid(Exception):
    """When a value is not what its feature takes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def encode(rows: Sequence[Mapping[str, Any]], spec: ServingSpec) -> Encoded:
    """Encode rows that were read from JSON. Raises InvalidRows with every problem, by row and field.

    Of fields that nobody knows it names the first hundred, and counts the rest.
    """
    unknown = [*islice(_unknown_fields(rows, spec), MOST_UNKNOWN)]
    problems = [*unknown, *_wrong_entities(rows, spec)]
    numeric = np.empty((len(rows), len(spec.numeric)))
    for place, feature in enumerate(spec.numeric):
        numeric[:, place] = _read_column(rows, feature, _READERS[feature.type], math.nan, problems)
    codes = np.empty((len(rows), len(spec.categories)), dtype=np.int64)
    texts: list[list[str | None]] = []
    for place, feature in enumerate(spec.categories):
        texts.append(_read_column(rows, feature, _category, None, problems))
        codes[:, place] = _codes(texts[-1], feature)
    if problems:
        unnamed = _count_unknown(rows, spec) - len(unknown)
        raise InvalidRows(sorted(problems, key=lambda problem: problem.row), unnamed=unnamed)
    entities = {entity_text(row.get(spec.entity)) for row in rows} if spec.entity is not None else {None}
    return Encoded(
        Arrays(numeric, codes),
        tuple(notes_of(codes, texts, spec)),
        sent=_sent(rows[:MOST_SENT], numeric, texts, spec),
        entity=next(iter(entities)) if len(entities) == 1 else None,
        is_mixed=len(entities) > 1,
    )


def _read_column(
    rows: Sequence[Mapping[str, Any]],
    feature: SpecFeature,
    read: Callable[[Any, SpecFeature], Value],
    blank: Value,
    problems: list[RowProblem],
) -> list[Value]:
    """Read one feature of all rows. blank: what stands where a value is wrong, which is added to the problems."""
    values = []
    for place, row in enumerate(rows):
        try:
            values.append(read(row.get(feature.name), feature))
        except _Invalid as error:
            problems.append(RowProblem(place, feature.name, error.code, error.message))
            values.append(blank)
    return values


def _codes(texts: Iterable[str | None], feature: SpecFeature) -> list[int]:
    """Give each text of a category its code; None where it is missing."""
    known: dict[str | None, int] = {tidy(value): code for code, value in enumerate(feature.values)}
    known.update((value, code) for code, value in enumerate(feature.values))
    known[None] = feature.missing_code
    return [known.get(text, UNKNOWN) for text in texts]


def entity_text(value: Any) -> str | None:
    """Write an entity as one text, however JSON or a table spelled it; None where there is none."""
    if isinstance(value, str):
        # Beside missing ones, pandas writes whole numbers so.
        return (value[:-2] if value.endswith(".0") and value[:-2].isdecimal() else value) or None
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else repr(value)
    return label_text(value) if isinstance(value, int) else None


def _sent(
    rows: Sequence[Mapping[str, Any]],
    numeric: NDArray[np.float64],
    texts: Sequence[Sequence[str | None]],
    spec: ServingSpec,
) -> list[tuple[Any, ...]]:
    columns: list[Sequence[Any]] = [
        [row.get(feature.name) for row in rows] if feature.type == "boolean" else numeric[: len(rows), place].tolist()
        for place, feature in enumerate(spec.numeric)
    ]
    return list(zip(*columns, *(column[: len(rows)] for column in texts), strict=True))


def encode_columns(columns: Mapping[str, NDArray[Any]], spec: ServingSpec) -> Encoded:
    """Encode the typed columns of a stored table, as `load_columns` gives them, without judging them, nor with notes.

    Raises KeyError where a feature has no column.
    """
    rows = len(next(iter(columns.values())))
    numeric = np.empty((rows, len(spec.numeric)))
    for place, feature in enumerate(spec.numeric):
        numeric[:, place] = columns[feature.name]
    codes = np.empty((rows, len(spec.categories)), dtype=np.int64)
    for place, feature in enumerate(spec.categories):
        codes[:, place] = _codes(columns[feature.name], feature)
    return Encoded(Arrays(numeric, codes))


def notes_of(
    codes: NDArray[np.int64], texts: Sequence[Sequence[str | None]], spec: ServingSpec
) -> list[tuple[str, ...]]:
    """Say of each row which of its categories training never saw. texts: of each category, None where it is missing."""
    notes: list[tuple[str, ...]] = [()] * len(codes)
    for feature, column, known in zip(spec.categories, texts, codes.T, strict=True):
        seen = "never, or too rarely," if feature.pools_infrequent else "never"
        for row in np.flatnonzero(known == UNKNOWN).tolist():
            if (text := column[row]) is not None:
                notes[row] += (f"{feature.name}: {_show(text)} was {seen} seen in training",)
    return notes


def _unknown_fields(rows: Sequence[Mapping[str, Any]], spec: ServingSpec) -> Iterator[RowProblem]:
    features = [feature.name for feature in spec.features]
    known = {*features, *spec.other_columns}
    for place, row in enumerate(rows):
        for name in sorted(row.keys() - known):
            if name == spec.target:
                yield RowProblem(place, name, "TARGET_SENT", "this is what the model predicts; leave it out")
                continue
            nearest = difflib.get_close_matches(name[:200], features, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"the model takes {', '.join(features)}"
            yield RowProblem(place, name[:200], "UNKNOWN_FIELD", f"there is no such field; {hint}")


def _count_unknown(rows: Sequence[Mapping[str, Any]], spec: ServingSpec) -> int:
    known = {feature.name for feature in spec.features}.union(spec.other_columns)
    return sum(len(row.keys() - known) for row in rows)


def _wrong_entities(rows: Sequence[Mapping[str, Any]], spec: ServingSpec) -> Iterator[RowProblem]:
    if spec.entity is None:
        return
    for place, row in enumerate(rows):
        if isinstance(row.get(spec.entity), list | dict):
            message = f"must be text or a number, not {_show(row[spec.entity])}"
            yield RowProblem(place, spec.entity, "TYPE", message)


def _number(value: Any, feature: SpecFeature) -> float:
    if value is None:
        return _missing(feature)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Invalid("TYPE", f"must be a number, not {_show(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise _Invalid("RANGE", f"must be {_allowed(feature)}") from None
    if not math.isfinite(number):
        raise _Invalid("NON_FINITE", f"must be a finite number, not {number}")
    low, high = bounds_of(feature)
    if not low <= number <= high:
        raise _Invalid("RANGE", f"must be {_allowed(feature)}, not {_show(value)}")
    return number


def _integer(value: Any, feature: SpecFeature) -> float:
    number = _number(value, feature)
    if value is not None and not number.is_integer():
        raise _Invalid("TYPE", f"must be a whole number, not {_show(value)}")
    return number


def _boolean(value: Any, feature: SpecFeature) -> float:
    if value is None:
        return _missing(feature)
    if not isinstance(value, bool):
        raise _Invalid("TYPE", f"must be true or false, not {_show(value)}")
    return float(value)


def _category(value: Any, feature: SpecFeature) -> str | None:
    if value is None:
        _missing(feature)
        return None
    if isinstance(value, str):
        text = read_category(value, feature)
        if text is None:
            _missing(feature, value)
        return text
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and abs(value) < 2**64:  # booleans are integers too
        return label_text(value)
    raise _Invalid("TYPE", f"must be text or a whole number, not {_show(value)}")


def read_category(text: str, feature: SpecFeature) -> str | None:
    """Read text as training read it: without spaces around it, `1.0` as `1`, and a spelling of nothing as None."""
    text = text.strip()
    if text in feature.values:
        return text
    return None if feature.notation.is_missing(text.lower(), NO_CATEGORY) else tidy(text)


_READERS = {"number": _number, "integer": _integer, "boolean": _boolean}


def _missing(feature: SpecFeature, sent: str | None = None) -> float:
    if not feature.allows_missing:
        what = "must not be null" if sent is None else f"{_show(sent)} is read as missing"
        raise _Invalid("MISSING", f"is required, and {what}")
    return math.nan


def bounds_of(feature: Bounded) -> tuple[float, float]:
    """The smallest and the largest number that a feature takes, whatever its contract says of larger ones."""
    low = -MAX_MAGNITUDE if feature.min is None else max(feature.min, -MAX_MAGNITUDE)
    return low, MAX_MAGNITUDE if feature.max is None else min(feature.max, MAX_MAGNITUDE)


def _allowed(feature: SpecFeature) -> str:
    low, high = bounds_of(feature)
    return f"from {low:.15g} to {high:.15g}"


def _show(value: Any) -> str:
    """Write a value for a message, shortened."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "…")
    if isinstance(value, bool) or value is None:
        return "null" if value is None else label_text(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 2**64 else f"a number of {value.bit_length()} bits"
    if isinstance(value, float):
        return repr(value)
    return "a list" if isinstance(value, list) else "an object"
