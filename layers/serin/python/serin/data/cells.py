"""What does a cell say? From cells as they were written to numbers, booleans, times and categories."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.notation import BOOLEANS, MINUS, NUMBER, OWN, POINTED, Notation
from serin.contract.serving_spec import NO_CATEGORY

Mask = NDArray[np.bool_]

FEW = 1_000  # categories
MISSING = NO_CATEGORY | {"none"}
_INFINITE = re.compile(r"([-+]?)(?:inf|infinity|∞)", re.IGNORECASE)
EARLIEST_EPOCH = 1e8  # 1973; a smaller number is a year, a date like 20240531, or no time at all
FIRST_MOMENT, END_OF_TIME = -62_135_596_800, 253_402_300_800  # the years 1 to 9999
_DIGITS_ALONE = r"(?:19\d\d|20\d\d|2100)(?:\d{4})?"  # a likely year; other digits more likely count something
_SEPARATED = r"\d{4}(?:-\d{1,2}(?:-\d{1,2})?|/\d{1,2}(?:/\d{1,2})?|\.\d{1,2}\.\d{1,2})"
_ISO_TIME = rf"^(?:{_DIGITS_ALONE}|{_SEPARATED})(?:[T ].*)?$"


@dataclass(frozen=True, slots=True)
class Parsed:
    """Cells read as float64, NaN where they are missing, or wrong: of another type."""

    values: NDArray[np.float64]
    missing: Mask
    wrong: Mask


def is_text(cells: pd.Series) -> bool:
    return isinstance(cells.dtype, pd.StringDtype)


def is_coded(cells: pd.Series) -> bool:
    """Tell whether cells are text of which each occurs once, and codes into these: then little is to be read."""
    return isinstance(cells.dtype, pd.CategoricalDtype)


def _distinct(cells: pd.Series) -> pd.Series:
    return pd.Series(cells.cat.categories, dtype="str")


def _of_codes(cells: pd.Series, parsed: Parsed) -> Parsed:
    """Give what was read of the distinct cells for each cell; a code of -1 is a missing one."""
    codes = cells.cat.codes.to_numpy()
    return Parsed(
        np.append(parsed.values, np.nan)[codes],
        np.append(parsed.missing, True)[codes],
        np.append(parsed.wrong, False)[codes],
    )


def find_missing(cells: pd.Series, spellings: Collection[str] = MISSING, notation: Notation = OWN) -> Mask:
    """Find the cells that hold nothing: null, empty, or one of the spellings of it, in lower case."""
    if cells.dtype == np.float64:
        missing: Mask = np.isnan(cells.to_numpy())
        return missing
    if not is_text(cells):
        return cells.isna().to_numpy()
    folded = cells.str.strip().str.lower()
    return (folded.isna() | folded.isin([*spellings, *notation.missing])).to_numpy()


def parse_numbers(cells: pd.Series, notation: Notation = OWN) -> Parsed:
    """Read numbers, each to the nearest float64 as Python's float does. Written infinities, and 1e400, are infinite."""
    if is_coded(cells):
        return _of_codes(cells, parse_numbers(_distinct(cells), notation))
    missing = find_missing(cells, notation=notation)
    if not is_text(cells):
        if pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_bool_dtype(cells.dtype):
            numbers = cells.to_numpy() if cells.dtype == np.float64 else cells.to_numpy(np.float64, na_value=np.nan)
            return Parsed(numbers, missing, np.zeros(len(cells), dtype=bool))
        return Parsed(np.full(len(cells), np.nan), missing, ~missing)
    text = cells.str.strip()
    if notation.has_own_numbers:
        text = _in_own_notation(text, notation)
    values = _parse_at_once(text.mask(missing))
    if values is not None and (np.isfinite(values) | missing).all():
        return Parsed(values, missing, np.zeros(len(cells), dtype=bool))
    return _parse_each(text, missing, _number)


def parse_booleans(cells: pd.Series, notation: Notation = OWN) -> Parsed:
    """Read true and false, yes and no, 1 and 0 as 1.0 and 0.0."""
    if is_coded(cells):
        return _of_codes(cells, parse_booleans(_distinct(cells), notation))
    missing = find_missing(cells, notation=notation)
    if is_text(cells):
        return _parse_each(cells.str.strip().str.lower(), missing, BOOLEANS.get)
    if not pd.api.types.is_numeric_dtype(cells.dtype):
        return Parsed(np.full(len(cells), np.nan), missing, ~missing)
    values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~missing & (values != 0) & (values != 1)
    return Parsed(np.where(wrong, np.nan, values), missing, wrong)


def parse_times(cells: pd.Series, notation: Notation = OWN) -> Parsed:
    """Read times as seconds since 1970 in UTC: as the notation says, ISO 8601, or numbers since 1970.

    They are in UTC where no offset is given. Such numbers are seconds, or by their size milli-, micro- or nanoseconds.
    Digits alone, like 1999 or 19991231, are a date only from 1900 to 2100. What lies outside of the years 1 to 9999 is
    no time.
    """
    if is_coded(cells):
        return _of_codes(cells, parse_times(_distinct(cells), notation))
    missing = find_missing(cells, notation=notation)
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        values = _seconds(cells)
    else:
        values = np.full(len(cells), np.nan)
        if notation.dates is not None and is_text(cells):
            values = _read_dates(cells.str.strip(), notation.dates)
        numeric = ~missing & np.isnan(values)
        if is_text(cells):
            cells = cells.str.strip()
            numeric &= cells.str.match(rf"^(?:{NUMBER})$", na=False).to_numpy()
        values[numeric] = _since_1970(parse_numbers(cells[numeric]).values)
        rest = np.flatnonzero(np.isnan(values) & ~missing)
        if len(rest) and not pd.api.types.is_bool_dtype(cells.dtype):
            values[rest] = _read_iso(as_text(cells.iloc[rest]))
    values[~((values >= FIRST_MOMENT) & (values < END_OF_TIME))] = np.nan
    return Parsed(values, missing, np.isnan(values) & ~missing)


def _since_1970(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Read numbers as seconds, NaN where they are too small to be any."""
    size = np.abs(numbers)
    unit = np.select([size >= 1e17, size >= 1e14, size >= 1e11], [1e9, 1e6, 1e3], 1.0)
    return np.where(size >= EARLIEST_EPOCH, numbers / unit, np.nan)


def _read_dates(text: pd.Series, dates: str) -> NDArray[np.float64]:
    return _seconds(pd.to_datetime(text, format=dates, utc=True, errors="coerce"))


def _read_iso(text: pd.Series) -> NDArray[np.float64]:
    text = text.where(text.str.match(_ISO_TIME, na=False))
    if text.str.contains(r"\.\d{7}", na=False).any():  # one such alone keeps pandas from reading 1677, or 2262
        text = text.str.replace(r"(\.\d{6})\d+", r"\1", regex=True)
    return _seconds(pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce"))


def parse_categories(
    cells: pd.Series, listed: Collection[str] = (), notation: Notation = OWN
) -> tuple[pd.Series, Mask]:
    """Read categories as text without spaces around it, NaN where missing, and say where that is; `1.0` is `1`.

    listed: the categories of the contract; one of them is never read as missing, though it be `NA`, nor otherwise than
    it is written.
    """
    if is_coded(cells):
        parse = _parse_distinct if len(cells.cat.categories) <= FEW else _parse_distinct.__wrapped__
        numbers, distinct, is_missing = parse(tuple(cells.cat.categories), tuple(listed), notation)
        codes = cells.cat.codes.to_numpy()
        return pd.Series(pd.Categorical.from_codes(numbers[codes], distinct), cells.index), is_missing[codes]
    text = as_text(cells).str.strip()
    missing = find_missing(text, NO_CATEGORY, notation) & ~text.isin(list(listed)).to_numpy()
    return without_points(text, listed).mask(missing), missing


@lru_cache(maxsize=256)  # the parts of a table have much the same, where there are few
def _parse_distinct(
    texts: tuple[str, ...], listed: tuple[str, ...], notation: Notation
) -> tuple[NDArray[np.int64], pd.Index, Mask]:
    """Read distinct categories: the code of each, and whether it is missing; as the last, those of a missing cell."""
    values, missing = parse_categories(pd.Series(texts, dtype="str"), listed, notation)
    codes, distinct = pd.factorize(values)
    return np.append(codes, -1), pd.Index(distinct, dtype="str"), np.append(missing, True)


def without_points(text: pd.Series, listed: Collection[str] = ()) -> pd.Series:
    """Write whole numbers without a point, but for those that are listed with one."""
    candidates = [value for value in text.unique() if isinstance(value, str) and value.endswith("0")]
    whole = {value: match[1] for value in candidates if (match := POINTED.fullmatch(value)) and value not in listed}
    return text.replace(whole) if whole else text


def as_text(cells: pd.Series) -> pd.Series:
    """Give cells as text: whole numbers without a point, booleans as true and false, times in ISO 8601."""
    if is_text(cells):
        return cells
    if is_coded(cells):
        return cells.astype("str")
    if pd.api.types.is_bool_dtype(cells.dtype):
        return cells.map({True: "true", False: "false"}, na_action="ignore").astype("str")
    return cells.map(_written, na_action="ignore").astype("str")


def _written(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _in_own_notation(text: pd.Series, notation: Notation) -> pd.Series:
    """Rewrite numbers as `Notation.plain` does; what is no number of that notation becomes what is none of ours."""
    text = text.str.translate(MINUS) if text.str.contains(f"[{''.join(map(chr, MINUS))}]", na=False).any() else text
    for pattern, replacement in notation.rewritings:
        text = text.str.replace(pattern, replacement, regex=True)
    text = text.where(text.str.match(f"^(?:{notation.number})$", na=True), "?")
    if notation.thousands:
        text = text.str.replace(notation.group, "", regex=True)
    return text.str.replace(notation.decimal, ".", regex=False)


def _seconds(times: pd.Series) -> NDArray[np.float64]:
    """Give times as seconds since 1970, NaN where they are missing."""
    moments = times.to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)


def _parse_at_once(text: pd.Series) -> NDArray[np.float64] | None:
    """Parse numbers quickly; None where one is none, or where there is no pyarrow, as in training."""
    try:
        import pyarrow as pa
    except ImportError:
        return None
    try:
        present = pa.array(text, type=pa.large_string())
        return np.array(present.cast(pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        return None


def _parse_each(text: pd.Series, missing: Mask, parse: Callable[[str], float | None]) -> Parsed:
    """Parse every distinct text once; None from `parse` says that it is of another type."""
    codes, distinct = pd.factorize(text.mask(missing))
    parsed = np.array([*map(parse, distinct.to_numpy(dtype=object)), None], dtype=np.float64)  # code -1 reads the None
    values: NDArray[np.float64] = parsed[codes]
    return Parsed(values, missing, np.isnan(values) & ~missing)


def _number(text: str) -> float | None:
    if (number := OWN.read_number(text)) is not None:
        return number
    infinite = _INFINITE.fullmatch(text)
    return float(f"{infinite[1]}inf") if infinite else None
