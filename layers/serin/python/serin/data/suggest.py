"""What is each column of a table for? A feature, the entity, the time of a row, or nothing; and why."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.metrics import Task
from serin.contract.notation import OWN, Notation
from serin.contract.serving_spec import NO_CATEGORY
from serin.data.cells import MISSING, as_text, find_missing, is_text, parse_numbers, parse_times, without_points
from serin.data.labels import spelled_alike
from serin.data.limits import Unreadable
from serin.data.raw_table import RawTable
from serin.data.recognise import Spelling
from serin.data.table_faults import MAX_CLASSES
from serin.data.yaml_text import as_yaml, on_one_line
from serin.serving.rows.encode import MAX_MAGNITUDE

MOST_LISTED = 50
MOST_CATEGORIES = 1000
FEW_INTEGERS = 20
LEAST_ROWS = 10
SAMPLE = 20_000  # rows that are enough to see whether a column gives the target away
TYPOS = 0.005  # the share of cells that may be no numbers in a column of numbers; their rows will be set aside


class Role(StrEnum):
    FEATURE = "feature"
    ENTITY = "entity"
    TIME = "time"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Column:
    """A column of the file, and what can be counted in it. `present`: its cells as text, without the missing ones."""

    name: str
    cells: pd.Series
    notation: Notation = OWN

    @cached_property
    def present(self) -> pd.Series:
        is_category = parse_numbers(self.cells, self.notation).wrong.mean() > TYPOS
        missing = find_missing(self.cells, NO_CATEGORY if is_category else MISSING, self.notation)
        return as_text(self.cells[~missing]).str.strip()

    @cached_property
    def categories(self) -> pd.Series:
        """The present cells as categories."""
        return without_points(self.present)

    @cached_property
    def distinct(self) -> int:
        return int(self.categories.nunique())

    @property
    def missing_share(self) -> float:
        return 1 - len(self.present) / len(self.cells)

    @cached_property
    def numbers(self) -> NDArray[np.float64] | None:
        """The present cells as numbers, or None where they are not; `007` is no number but a name."""
        if pd.api.types.is_datetime64_any_dtype(self.cells.dtype) or pd.api.types.is_bool_dtype(self.cells.dtype):
            return None
        values = parse_numbers(self.present, self.notation).values
        usable = values[np.abs(values) <= MAX_MAGNITUDE]
        if len(usable) < len(values) * (1 - TYPOS) or self.present.str.match(r"[-+]?0\d").any():
            return None
        return usable

    @cached_property
    def is_integer(self) -> bool:
        if self.numbers is None or pd.api.types.is_float_dtype(self.cells.dtype):
            return False
        if self.notation.has_own_numbers:
            return bool((self.numbers % 1 == 0).all())
        return not self.present.str.contains(r"^[-+]?\d*\.|\d[eE]").any()

    @property
    def words(self) -> set[str]:
        """The words of its name, in lower case: `applicantAge` and `applicant_age` are applicant and age."""
        return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", self.name)}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a column is for. keys: of a feature in the contract, in YAML; comments: why, for a person."""

    name: str
    role: Role
    comments: tuple[str, ...]
    keys: tuple[str, ...] = ()


def choose_task(target: Column) -> tuple[Task, str]:
    """Tell what kind of target it is. Raises Unreadable where it is none."""
    name, count = target.name, target.distinct
    if count < 2:
        what = f"is {target.present.iloc[0]!r} in every row" if count else "is empty"
        raise Unreadable("ONE_CLASS", f"the target {name} {what}; nothing can be learned", fix="Choose another target.")
    numbers = target.numbers
    few = numbers is not None and count <= FEW_INTEGERS and count <= len(numbers) / 5 and bool((numbers % 1 == 0).all())
    if numbers is not None and not (few or count == 2):
        return Task.REGRESSION, f"{name} is a number with {count:,} different values"
    if count > MAX_CLASSES:
        message = f"the target {name} has {count:,} different texts; at most {MAX_CLASSES} classes can be told apart"
        raise Unreadable("MANY_CLASSES", message, fix="Choose a target with fewer classes, or one of numbers.")
    shares = target.categories.value_counts(normalize=True).sort_index()
    listed = ", ".join(f"{on_one_line(label)} ({share:.1%})" for label, share in shares.head(10).items())
    scored = f"; the score speaks of {on_one_line(shares.index[-1])}, see `positive`" if count == 2 else ""
    return Task.CLASSIFICATION, f"{name} has {count} classes: {listed}{', …' if count > 10 else ''}{scored}"


def name_classes(target: Column) -> str:
    """Write down the labels of the target, and which of them only one row has."""
    counts = target.categories.value_counts().sort_index()
    single = [on_one_line(label) for label in counts.index[counts == 1]]
    comment = "a row with another label is set aside"
    if alike := spelled_alike(list(counts.index)):
        comment += f"; WARNING: {'; '.join(' and '.join(map(on_one_line, group)) for group in alike[:3])} look alike"
    if single:
        comment += f"; WARNING: only one row has {', '.join(single[:5])}{', …' if len(single) > 5 else ''}; misspelled?"
    return f"classes: [{', '.join(map(as_yaml, counts.index))}]  # {comment}"


def suggest(raw: RawTable, target: Column, task: Task, spelling: Spelling) -> Iterator[Suggestion]:
    """Say what each column but the target is for: at most one the entity, at most one the time."""
    taken: set[Role] = set()
    for name in raw.frame.columns:
        if name == target.name:
            continue
        column = Column(str(name), raw.frame[name], spelling.of(str(name)))
        suggestion = (
            _useless(column)
            or _as_time(column)
            or _as_id(column)
            or _as_contact(column)
            or _as_feature(column, target, task)
        )
        if suggestion.role in taken:
            why = (*suggestion.comments, f"another column is the {suggestion.role}")
            suggestion = Suggestion(column.name, Role.IGNORED, why)
        if suggestion.role in (Role.ENTITY, Role.TIME):
            taken.add(suggestion.role)
        yield suggestion
    for name, kind in raw.unusable.items():
        yield Suggestion(name, Role.IGNORED, (f"holds {kind}, not one value a cell",))


def _useless(column: Column) -> Suggestion | None:
    if column.distinct == 0:
        return Suggestion(column.name, Role.IGNORED, ("empty in every row",))
    if column.distinct == 1 and not column.missing_share:
        return Suggestion(column.name, Role.IGNORED, (f"always {on_one_line(column.present.iloc[0])}",))
    return None


_TIME_WORDS = {"time", "date", "datetime", "timestamp", "ts", "epoch", "at", "day", "when"}


_BIRTH_WORDS = {"birth", "birthdate", "birthday", "dob", "born"}
OLDEST, LATEST = -2_208_988_800, 4_200_000_000  # of 1900 and 2103, in seconds since 1970; farther off lies no row


_ISO = r"\d{4}[-/]\d{2}(?:[-/]\d{2})?(?:[T ].*)?$"


def _as_time(column: Column) -> Suggestion | None:
    is_date = not is_text(column.cells) or column.notation.dates is not None
    if not is_date and column.numbers is None and not column.present.str.match(_ISO).all():
        return None
    if column.numbers is not None and not (column.is_integer and column.words & _TIME_WORDS):
        return None
    times = parse_times(column.cells, column.notation)
    seen = times.values[~np.isnan(times.values)]
    if times.wrong.any() or not len(seen):
        return None
    is_far = seen.min() < OLDEST or seen.max() > LATEST
    if is_far and column.numbers is not None:
        return None
    first, last = (datetime.fromtimestamp(moment, UTC).date() for moment in (seen.min(), seen.max()))
    comment = f"times from {first} to {last}"
    if is_far:
        return Suggestion(column.name, Role.IGNORED, (comment, "too far from now to be the time of a row"))
    if column.words & _BIRTH_WORDS:
        return Suggestion(column.name, Role.IGNORED, (comment, "looks like a fact about a person; check"))
    if column.missing_share:
        return Suggestion(column.name, Role.IGNORED, (comment, f"but missing in {column.missing_share:.1%} of rows"))
    return Suggestion(column.name, Role.TIME, (comment, "the hold-out is the latest rows"))


_ID_WORDS = {"id", "ids", "uuid", "guid", "key", "identifier", "rownumber", "rownum", "index", "unnamed"}


def _as_id(column: Column) -> Suggestion | None:
    rows = len(column.present)
    is_named = bool(column.words & _ID_WORDS)
    is_name_like = column.numbers is None or column.is_integer
    if not is_name_like or (column.numbers is not None and not is_named and not _counts_rows(column)):
        return None
    if column.distinct == rows and rows >= LEAST_ROWS:
        return Suggestion(column.name, Role.IGNORED, ("different in every row: an id, nothing to learn from",))
    if column.distinct > rows * 0.95 and rows >= 100:
        return Suggestion(column.name, Role.IGNORED, ("different in nearly every row: an id or free text",))
    if is_named and column.distinct >= max(20, rows * 0.02) and not column.missing_share:
        comments = (f"{column.distinct:,} ids in {rows:,} rows", "rows of one stay on one side of a split")
        return Suggestion(column.name, Role.ENTITY, comments)
    return None


_MAIL = r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$"
_PHONE = r"(?:\+|00?[1-9]|\()[\d ()/.-]{7,}$"
_CARD = r"(?:\d[ -]?){12,18}\d$"


def _as_contact(column: Column) -> Suggestion | None:
    """Set aside what names a person, and so tells nothing of the next: addresses and numbers of phones and cards."""
    sample = column.present.head(MOST_CATEGORIES)
    for what, pattern in (("addresses of mail", _MAIL), ("numbers of phones", _PHONE), ("numbers of cards", _CARD)):
        if len(sample) >= LEAST_ROWS and sample.str.match(pattern).mean() > 1 - TYPOS:
            if what == "numbers of cards" and not sample.map(_checks).all():
                continue
            return Suggestion(
                column.name, Role.IGNORED, (f"{what}: they name a person, and nothing is learned from them",)
            )
    return None


def _checks(number: str) -> bool:
    """Tell whether the last digit is what those before say (Luhn's rule, as of cards)."""
    digits = [int(sign) for sign in re.sub(r"\D", "", number)][::-1]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _counts_rows(column: Column) -> bool:
    numbers = column.numbers
    return numbers is not None and numbers[0] in (0, 1) and bool((np.diff(numbers) == 1).all())


def _as_feature(column: Column, target: Column, task: Task) -> Suggestion:
    comments: list[str] = []
    keys: list[str] = []
    folded = set(column.present.str.lower().unique()) if column.distinct <= 2 else set()
    is_code = bool(column.words & _ID_WORDS) or (column.is_integer and bool((np.abs(_present(column)) > 2**53).any()))
    if folded and folded <= {"true", "false"}:
        keys.append("type: boolean")
    elif column.numbers is not None and not is_code:
        keys += _range(column)
        comments.append(f"seen {_seen(float(column.numbers.min()))} to {_seen(float(column.numbers.max()))}")
        if typos := len(column.present) - len(column.numbers):
            comments.append(f"cells that are no number: {typos:,}, whose rows are set aside")
    else:
        if too_many := _free_text(column):
            return Suggestion(column.name, Role.IGNORED, (too_many,))
        keys.append("type: category")
        if column.distinct <= MOST_LISTED and column.distinct <= len(column.present) / 2:
            keys.append(f"values: [{', '.join(as_yaml(value) for value in sorted(column.categories.unique()))}]")
        else:
            comments.append(f"{column.distinct:,} categories, learned from the data")
    if column.missing_share:
        keys.append("missing: allow")
        comments.append(f"missing in {_share(column.missing_share)} of rows")
    if _looks_sensitive(column):
        keys.append("sensitive: true")
        comments.append("looks like a fact about a person; check")
    if _gives_away(column, target, task):
        comments.append(f"WARNING: it alone tells {target.name}; is it known before {target.name} is?")
    return Suggestion(column.name, Role.FEATURE, tuple(comments), tuple(keys))


def _present(column: Column) -> NDArray[np.float64]:
    return np.empty(0) if column.numbers is None else column.numbers


def _free_text(column: Column) -> str | None:
    """Say why a column of text is too various to be categories, where it is."""
    rows = len(column.present)
    is_wordy = column.distinct > MOST_LISTED and float(column.present.str.len().mean()) > 40
    if is_wordy or column.distinct > MOST_CATEGORIES or (column.distinct > FEW_INTEGERS and column.distinct > rows / 2):
        return f"free text: {column.distinct:,} different ones in {rows:,} rows"
    return None


def _range(column: Column) -> list[str]:
    """Allow what was seen and as much again on either side; not below 0 where nothing was."""
    low, high = float(_present(column).min()), float(_present(column).max())
    span = high - low
    bottom, top = (0.0 if low >= 0 else _rounded(low - span, math.floor)), _rounded(high + span, math.ceil)
    if set(np.unique(_present(column)[:10_000])) <= {0.0, 1.0} and (low, high) == (0, 1):
        bottom, top = 0.0, 1.0
    kind = "integer" if column.is_integer else "number"
    bounds = [f"{key}: {_bound(value)}" for key, value in (("min", bottom), ("max", top)) if math.isfinite(value)]
    return [f"type: {kind}", *bounds]


def _rounded(value: float, to: Callable[[float], int]) -> float:
    """Round to two significant digits, by floor or ceil."""
    if value == 0 or not math.isfinite(value):
        return value
    unit = math.floor(math.log10(abs(value))) - 1
    return float(f"{to(value / 10.0**unit)}e{unit}")


def _bound(value: float) -> str:
    return (
        str(int(value))
        if value.is_integer() and abs(value) < 1e15
        else f"{value:.17g}"
        if float(f"{value:.12g}") != value
        else f"{value:.12g}"
    )


def _seen(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:,.6g}"


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "less than 0.1%"


_PERSONAL_WORDS = (
    {
        "age",
        "birth",
        "birthdate",
        "birthday",
        "birthplace",
        "dob",
        "sex",
        "gender",
        "orientation",
        "pregnant",
        "pregnancy",
    }
    | {"race", "racial", "ethnic", "ethnicity", "skin", "caste", "native", "foreign", "foreigner", "immigrant"}
    | {"nationality", "citizen", "citizenship", "immigration", "religion", "religious", "marital", "married"}
    | {"disability", "disabled", "handicap", "veteran", "zip", "zipcode", "postcode", "postal"}
)


_PERSONAL_VALUES = (
    {"male", "female", "m", "f", "man", "woman", "men", "women", "other", "diverse", "non-binary", "unknown"},
    {"married", "single", "divorced", "widowed", "separated", "unmarried", "unknown"},
    {"white", "black", "asian", "hispanic", "latino", "other", "unknown", "caucasian", "african-american"},
    {"christian", "muslim", "jewish", "hindu", "buddhist", "catholic", "protestant", "none", "other"},
)


def _looks_sensitive(column: Column) -> bool:
    if column.words & _PERSONAL_WORDS or {"personal", "status"} <= column.words:
        return True
    if column.numbers is not None or not 2 <= column.distinct <= 12:
        return False
    values = set(column.present.str.lower().unique())
    return any(values <= known and len(values - {"other", "unknown", "none"}) >= 2 for known in _PERSONAL_VALUES)


def _gives_away(column: Column, target: Column, task: Task) -> bool:
    """Tell whether one column predicts the target without an error, so that it may be a copy of it."""
    both = column.present.index.intersection(target.present.index)
    both = both[:: 1 + len(both) // SAMPLE]
    values, truth = column.present[both], target.present[both]
    if len(both) < 20 or truth.nunique() < 2:
        return False
    if task is Task.REGRESSION:
        x, y = parse_numbers(values, column.notation).values, parse_numbers(truth, target.notation).values
        usable = np.isfinite(x) & np.isfinite(y)
        if usable.sum() < 20 or np.ptp(x[usable]) == 0 or np.ptp(y[usable]) == 0:
            return False
        x, y = (numbers[usable] / np.abs(numbers[usable]).max() for numbers in (x, y))
        return bool(abs(np.corrcoef(x, y)[0, 1]) > 0.99999)
    classes = pd.factorize(truth)[0]
    if column.numbers is None or column.distinct <= FEW_INTEGERS:
        of_each = pd.Series(classes).groupby(values.to_numpy()).nunique()
        return column.distinct <= len(both) / 5 and bool((of_each == 1).all())
    order = np.argsort(parse_numbers(values, column.notation).values, kind="stable")
    return int((np.diff(classes[order]) != 0).sum()) == len(set(classes)) - 1
