"""Numbers, signs for missing and dates are recognised where one reading fits, and asked for where two do."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin.contract.notation import Notation
from serin.data.cells import parse_numbers
from serin.data.infer import Told, infer_contract
from serin.data.limits import Unreadable
from serin.data.recognise import Spelling, recognise


def spelling_of(*cells: str, **others: list[str]) -> Spelling:
    columns = {"x": list(cells) * 3, **{name: (texts * len(cells))[: 3 * len(cells)] for name, texts in others.items()}}
    return recognise(pd.DataFrame({name: pd.Series(texts, dtype="str") for name, texts in columns.items()}), {})


@pytest.mark.parametrize(
    ("cells", "notation"),
    [
        (("272,45", "8,5", "13,99"), Notation(decimal=",")),
        (("1.272,45", "8,5", "13,99"), Notation(decimal=",", thousands=".")),
        (("1,272.45", "8.5", "13,999"), Notation(thousands=",")),
        (("1'272.45", "8.5", "13"), Notation(thousands="'")),
        (("1 272", "8", "13 500"), Notation(thousands=" ")),
        (("0,583", "3,791", "2,277"), Notation(decimal=",")),
        (("83%", "85%", "9%"), Notation(units=("%",))),
        (("$5,449.00", "-$5,127.40", "$3.10"), Notation(thousands=",", units=("$",))),
        (("US$12", "US$15", "US$9"), Notation(units=("US$",))),
        (("90 m²", "110 m²", "7 m²"), Notation(units=("m²",))),
        (("(256)", "272", "(5)"), Notation(accounting=True)),
        (("12,50-", "1.300,00", "7,10-"), Notation(decimal=",", thousands=".", accounting=True)),
        (("R$ 12,50", "R$ 1.300,00", "R$ 7,10"), Notation(decimal=",", thousands=".", units=("R$",))),
        (("100 kr", "1 250 kr", "99 kr"), Notation(thousands=" ", units=("kr",))),
        (("1,5E+03", "2,25E-02", "3,1E+00"), Notation(decimal=",")),
        (
            ("31.12.2011 23:59:59.5", "01.02.2012 00:00:00.25", "01.03.2012 01:00:00.5"),
            Notation(dates="%d.%m.%Y %H:%M:%S.%f"),
        ),
        (("5", "-", "7", "-", "8"), Notation(missing=("-",))),
        (("5", "#DIV/0!", "7", "k.A.", "8"), Notation(missing=("#div/0!", "k.a."))),
        (("13/01/2011", "01/02/2011", "03/04/2012"), Notation(dates="%d/%m/%Y")),
        (("4/24/23", "5/3/23", "12/1/23"), Notation(dates="%m/%d/%y")),
        (("01.02.2011", "03.04.2011", "05.06.2012"), Notation(dates="%d.%m.%Y")),
        (("24-04-2023 13:05", "01-05-2023 08:00", "02-06-2023 23:59"), Notation(dates="%d-%m-%Y %H:%M")),
        (("4/24/2023 1:05 PM", "5/3/2023 12:00 AM", "6/1/2023 11:59 PM"), Notation(dates="%m/%d/%Y %I:%M %p")),
        (("Jan 5, 2021", "Feb 6, 2021", "Dec 17, 2022"), Notation(dates="%b %d, %Y")),
        (("5-Jan-21", "6-Feb-21", "17-Mar-22"), Notation(dates="%d-%b-%y")),
    ],
)
def test_what_one_reading_fits_is_recognised(cells: tuple[str, ...], notation: Notation) -> None:
    spelling = spelling_of(*cells)
    assert not spelling.open
    assert spelling.of("x") == notation


@pytest.mark.parametrize(
    "cells",
    [
        ("A1", "B2", "C3"),
        ("1st", "2nd", "3rd"),
        ("10-15", "16-20", "21-25"),
        ("1.2.3", "1.3.0", "2.0.0"),
        ("12:30", "13:45", "01:02"),
        ("<5", "6", "7"),
        ("5+", "6", "7"),
        ("€110.5M", "€565K", "€1M"),
        ("4111 1111 1111 1111", "4222 2222 2222 2222", "5333 3333 3333 3333"),
        ("0170 1234567", "0171 7654321", "0172 1111111"),
        ("192.168.0.1", "10.0.0.1", "127.0.0.1"),
        ("12.5", "13", "1e5"),
        ("yes", "no", "maybe"),
        ("2024-05-31", "2024-06-01", "2024-06-02"),
    ],
)
def test_what_is_no_number_or_already_one_is_left(cells: tuple[str, ...]) -> None:
    spelling = spelling_of(*cells)
    assert not spelling.columns
    assert not spelling.open


def test_what_two_readings_fit_is_asked_with_both_and_other_columns_may_tell() -> None:
    cells = ("3,583", "23,791", "32,277")
    (found,) = spelling_of(*cells).open.values()
    assert [found.example, *(example for _, example in found.rivals)] == ["23,791 is 23791", "23,791 is 23.791"]
    assert spelling_of(*cells, y=["1,25", "3,5"]).of("x").decimal == ","
    assert spelling_of(*cells, y=["1.25", "3.5"]).of("x").thousands == ","
    points = ("1.583", "23.791", "32.277", "4.125", "9.001")
    assert spelling_of(*points).open.keys() == {"x"}
    assert spelling_of(*points, y=["1,25", "3,5"]).of("x") == Notation(decimal=",", thousands=".")
    assert spelling_of(*points, y=["1.25", "3.5"]) == Spelling()
    assert spelling_of(*points, "0.125") == Spelling()
    dates = ("01/02/2011", "03/04/2011", "05/06/2011")
    assert spelling_of(*dates).open.keys() == {"x"}
    assert spelling_of(*dates, y=["13/02/2011", "01/12/2012"]).of("x").dates == "%d/%m/%Y"


def test_init_asks_and_goes_by_the_answer() -> None:
    rows = [f'"{3 + place},{500 + place}",{"yes" if place % 3 else "no"}' for place in range(60)]
    content = "\n".join(["residents,won", *rows]).encode()
    with pytest.raises(Unreadable, match=r"residents: 10,507 is 10507, or 10,507 is 10\.507") as caught:
        infer_contract(content, "f", "m", "won")
    assert caught.value.fix == 'Say which it is: --thousands ",", or --decimal ",".'
    assert "max: 130000" in infer_contract(content, "f", "m", "won", told=Told(thousands=",")).text
    assert "max: 130}" in infer_contract(content, "f", "m", "won", told=Told(decimal=",")).text


def test_spellings_of_one_class_are_told() -> None:
    rows = [f"{place % 7}.5,{('Yes', 'yes', 'No')[place % 3]}" for place in range(60)]
    inferred = infer_contract("\n".join(["x,won", *rows]).encode(), "f", "m", "won")
    assert inferred.seen == ("won has 'Yes', 'yes', which look like one class; an upload that has them is held",)
    assert "WARNING: Yes and yes look alike" in inferred.text


NOTATIONS = st.builds(
    Notation,
    decimal=st.sampled_from(".,"),
    thousands=st.sampled_from(["", " ", "'"]),
    units=st.sampled_from([(), ("$",), ("kg", "g"), ("%",)]),
    accounting=st.booleans(),
    missing=st.sampled_from([(), ("-",)]),
)


@settings(deadline=None, max_examples=300)
@given(NOTATIONS, st.lists(st.text("0123456789.,'-+()$%kgE \u2212", min_size=1, max_size=9), min_size=1, max_size=20))
def test_a_column_is_read_as_its_cells_one_by_one(notation: Notation, texts: list[str]) -> None:
    texts = [text.strip() for text in texts if text.strip()]
    parsed = parse_numbers(pd.Series(texts, dtype="str"), notation)
    expected = [None if text in notation.missing else notation.read_number(text) for text in texts]
    assert [None if value != value else value for value in parsed.values.tolist()] == expected
