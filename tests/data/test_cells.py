"""Cells are read as a person means them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.data.cells import Parsed, as_text, parse_booleans, parse_categories, parse_numbers, parse_times


def text(*cells: str) -> pd.Series:
    return pd.Series(cells, dtype="str")


def kinds(parsed: Parsed) -> str:
    """M for a missing cell, W for a wrong one, . for a value."""
    return "".join("M" if m else "W" if w else "." for m, w in zip(parsed.missing, parsed.wrong, strict=True))


@pytest.mark.parametrize("cell", ["", " ", "NA", "n/a", "NaN", "null", "None", "?", "#N/A", "<NA>"])
def test_the_usual_spellings_of_nothing_are_missing(cell: str) -> None:
    assert kinds(parse_numbers(text(cell, "1"))) == "M."
    assert kinds(parse_booleans(text(cell, "true"))) == "M."
    assert kinds(parse_times(text(cell, "2024-01-01"))) == "M."


@pytest.mark.parametrize("cell", ["abc", "1,5", "1 000", "1_000", "0x10", "12%", "$5", "--1", "1e", ".", "nan(1)", "١"])
def test_what_is_no_number_is_wrong(cell: str) -> None:
    assert kinds(parse_numbers(text(cell, "1"))) == "W."


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.booleans())
def test_numbers_are_read_as_python_reads_them(numbers: list[float], slowly: bool) -> None:
    cells = [repr(number) for number in numbers] + ["0.1234567890123456789", " +5. "] + ["x"] * slowly
    parsed = parse_numbers(text(*cells))
    assert parsed.values[: len(numbers) + 2].tolist() == [*numbers, 0.1234567890123456789, 5.0]


@pytest.mark.parametrize(("cell", "value"), [("1e400", math.inf), ("-inf", -math.inf), ("Infinity", math.inf)])
def test_what_no_number_can_hold_is_infinite(cell: str, value: float) -> None:
    assert parse_numbers(text(cell, "1")).values.tolist() == [value, 1.0]


def test_booleans_are_spelled_in_words_or_figures() -> None:
    assert parse_booleans(text("True", "no", "1", " F ")).values.tolist() == [1, 0, 1, 0]
    assert kinds(parse_booleans(text("2", "maybe"))) == "WW"
    assert kinds(parse_booleans(pd.Series([1.0, 0.0, 2.0, np.nan]))) == "..WM"


@pytest.mark.parametrize(
    "cell",
    [
        "2024-05-31",
        "20240531",
        "2024-05-31T00:00",
        "2024-05-31 00:00:00.000",
        "2024-05-31T00:00:00Z",
        "2024-05-31T02:00:00+02:00",
        "1717113600",
        "1717113600000",
        "1717113600000000",
        "1717113600000000000",
    ],
)
def test_times_are_iso_8601_or_counted_since_1970(cell: str) -> None:
    assert parse_times(text(cell)).values.tolist() == [1717113600.0]


@pytest.mark.parametrize(
    "cell",
    [
        *("yesterday", "now", "today", "31/05/2024", "17", "2024-13-01", "inf", "12:30"),
        *("0000", "0000-01-01", "-2024", "99999-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
        *("1e30", "-1e300", "1000000000000000000000", "2024.5"),
    ],
)
def test_other_times_are_wrong(cell: str) -> None:
    assert kinds(parse_times(text(cell, "2024-01-01"))) == "W."


@pytest.mark.parametrize("other", ["2024-01-01", "2024-01-01T00:00:00.123456789"])
@pytest.mark.parametrize(
    ("cell", "value"),
    [("0001-01-01", -62135596800.0), ("1677-01-01", -9246096000.0), ("9999-12-31T23:59:59.5", 253402300799.5)],
)
def test_times_of_all_years_are_read_beside_any_others(cell: str, value: float, other: str) -> None:
    assert parse_times(text(cell, other)).values.tolist() == pytest.approx([value, 1704067200.0], abs=0.2)


@pytest.mark.parametrize(
    ("cells", "found"), [(("1899", "1900", "2100", "2101"), "W..W"), (("10370101", "19991231"), "W.")]
)
def test_digits_alone_are_a_date_of_a_likely_year(cells: tuple[str, ...], found: str) -> None:
    assert kinds(parse_times(text(*cells))) == found


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.text(max_size=20) | st.from_regex(r"[-+]?\d{1,20}([-/.:TZ ]\d{1,20}){0,6}", fullmatch=True), min_size=1)
)
def test_whatever_stands_in_a_cell_it_is_read_or_wrong(cells: list[str]) -> None:
    for parse in (parse_numbers, parse_booleans, parse_times):
        parsed = parse(text(*cells))
        assert (np.isnan(parsed.values) == (parsed.missing | parsed.wrong)).all()


def test_times_of_parquet_are_utc_seconds() -> None:
    times = pd.to_datetime(pd.Series(["2024-05-31T02:00:00+02:00", None]), utc=True)
    parsed = parse_times(times)
    assert parsed.values[0] == 1717113600.0
    assert kinds(parsed) == ".M"


def test_times_of_parquet_are_of_any_year_that_is_one() -> None:
    moments = np.array(["9999-12-31", "0001-01-01", "10000-01-01", "0000-12-31"], dtype="datetime64[us]")
    parsed = parse_times(pd.Series(moments).dt.tz_localize("UTC"))
    assert kinds(parsed) == "..WW"
    assert parsed.values[:2].tolist() == [253402214400.0, -62135596800.0]


def test_categories_stay_text() -> None:
    values, missing = parse_categories(text("007", " A11 ", "NA", "", "none"))
    assert values.tolist()[:2] == ["007", "A11"]
    assert values.tolist()[4] == "none"
    assert missing.tolist() == [False, False, True, True, False]


def test_a_listed_category_is_never_missing() -> None:
    assert parse_categories(text("NA", "?", ""), listed=("NA", "?"))[1].tolist() == [False, False, True]


def test_typed_cells_become_text_as_a_person_would_write_them() -> None:
    assert as_text(pd.Series([1, None, 2**60 + 1], dtype="Int64")).tolist()[::2] == ["1", str(2**60 + 1)]
    assert as_text(pd.Series([1.0, 0.25])).tolist() == ["1", "0.25"]
    assert as_text(pd.Series([True, False])).tolist() == ["true", "false"]
    assert as_text(pd.Series(pd.to_datetime(["2024-05-31"], utc=True))).tolist() == ["2024-05-31T00:00:00+00:00"]
