"""How are the columns of a table written? Numbers, signs for missing, and dates in another notation than Serin's own.

What only one reading fits is recognised. Where two do, other columns may decide; what stays open then is a question
for a person, with both readings, and never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from serin.contract.notation import MINUS, OWN, Notation
from serin.data.cells import find_missing, is_text, parse_numbers, parse_times

LEAST_CELLS = 5
MOST_DISTINCT = 20_000  # texts of a column that are looked at
TYPOS = 0.005  # the share of cells that may be read otherwise
MOST_SIGNS = 2  # texts that may stand for missing in a column of numbers
_CURRENCIES = "$€£¥₹₽₺₩₪₫₴₱฿"
_CODES_TEXT = "USD EUR GBP CHF JPY CNY INR AUD CAD NZD SEK NOK DKK PLN CZK HUF SGD ZAR BRL MXN TRY"
_UNITS_TEXT = """
    % ‰ ° °C °F mm cm m km in ft mi m² m2 m³ m3 km² sqft ft² mg g kg t lb lbs oz ml l s sec ms min h hrs hours days
    months years yrs km/h kmh mph kW kWh MW W V A Hz MHz GHz KB MB GB TB bpm mmHg kcal cal mg/dl mg/dL mmol/l px pt hp
    PS cc Nm rpm
"""
_BOTH_TEXT = "kr zł Kč Ft R RM Rs Fr"  # before a number as behind it, with a blank between
_BOTH = set(_BOTH_TEXT.split())
_CODES, _UNITS = set(_CODES_TEXT.split()), set(_UNITS_TEXT.split())
_NUMBER = re.compile(
    r"(?P<open>\()?(?P<sign>[-+])?\s*(?P<before>[^\d\s.,'()+-]{1,4})?\s*(?P<again>[-+])?"
    r"(?P<body>[\d.,][\d.,'\u2019 \u00a0\u202f]*?(?:[eE][-+]?\d+)?)"
    r"(?P<gap>\s*)(?P<after>[^\d\s.,'()+-][^.,'()+-]{0,9})?(?P<close>\)|-)?"
)
_WAYS = ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
_DATE = re.compile(
    r"(?P<first>\d{1,2})(?P<mark>[./-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})"
    r"(?P<rest>[ T]\d{1,2}:\d{2}(?P<seconds>:\d{2})?(?P<fraction>\.\d{1,6})?(?P<half> ?[AaPp][Mm])?)?"
)
_NAMED_DATES = tuple(
    f"{date}{time}"
    for date in ("%d %b %Y", "%d %B %Y", "%d. %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d %Y")
    for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """How a column is written. example: what a cell says. rivals: other readings that fit, each with its own."""

    notation: Notation
    example: str
    rivals: tuple[tuple[Notation, str], ...] = ()
    signs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the columns of a table are written: by name, those that are not in Serin's own way. open: to be asked."""

    columns: Mapping[str, Recognised] = field(default_factory=dict)
    open: Mapping[str, Recognised] = field(default_factory=dict)

    def of(self, name: str) -> Notation:
        return self.columns[name].notation if name in self.columns else OWN


def recognise(frame: pd.DataFrame, told: Mapping[str, Any]) -> Spelling:
    """Tell how the columns of a table are written. told: what a person said of it: decimal, thousands, dates."""
    recognised = {str(name): found for name in frame.columns if (found := recognise_column(frame[name]))}
    recognised = {name: _as_told(found, told) for name, found in recognised.items()}
    sure = [found.notation for found in recognised.values() if not found.rivals]
    decimals = {notation.decimal for notation in sure if notation.decimal != "." or notation.thousands}
    if any(_has_points(frame[name]) for name in frame.columns if str(name) not in recognised):
        decimals.add(".")
    day_first = {notation.dates[:2] == "%d" for notation in sure if notation.dates}
    columns = {name: _as_others(found, decimals, day_first) for name, found in recognised.items()}
    return Spelling(
        {name: found for name, found in columns.items() if not found.rivals and found.notation != OWN},
        {name: found for name, found in columns.items() if found.rivals},
    )


def recognise_column(cells: pd.Series) -> Recognised | None:
    """Tell how a column is written; None where in Serin's own way, or where it is text."""
    if not is_text(cells):
        return None
    counts = cells[~find_missing(cells)].str.strip().value_counts().head(MOST_DISTINCT)
    if counts.sum() < LEAST_CELLS:
        return None
    parsed = parse_numbers(pd.Series(counts.index, dtype="str"))
    if counts[~parsed.wrong].sum() >= counts.sum() * (1 - TYPOS):
        return _as_thousands(counts)
    return _as_dates(counts) or _as_numbers(counts)


def _as_thousands(counts: pd.Series) -> Recognised | None:
    """Tell whether the points of numbers in Serin's own way may stand between thousands: three digits behind each."""
    pointed = counts[counts.index.str.contains(".", regex=False)]
    if len(pointed) < LEAST_CELLS or not pointed.index.str.match(r"[-+]?[1-9]\d{0,2}\.\d{3}$").all():
        return None
    text, rival = str(pointed.index[0]), Notation(decimal=",", thousands=".")
    return Recognised(OWN, _example(text, OWN), ((rival, _example(text, rival)),))


def _as_numbers(counts: pd.Series) -> Recognised | None:
    texts = {text: _NUMBER.fullmatch(str(text).translate(MINUS)) for text in counts.index}
    others = [text for text, match in texts.items() if match is None]
    signs = _signs(counts, others)
    numbers = {text: match for text, match in texts.items() if match is not None}
    rest = counts[[text for text in others if text not in signs]].sum() if others else 0
    if not numbers or rest > counts.sum() * TYPOS or len(numbers) < 2:
        return None
    units = {(match["before"] or match["after"] or "").strip() for match in numbers.values()} - {""}
    if len(units) > 1 or any(match["before"] and match["after"] for match in numbers.values()):
        return None
    if units and not all(_is_unit(match) for match in numbers.values() if match["before"] or match["after"]):
        return None
    usual = Notation(
        units=tuple(units),
        accounting=any(match["close"] for match in numbers.values()),
        missing=tuple(sign.lower() for sign in signs),
    )
    ways = [replace(usual, decimal=decimal, thousands=thousands) for decimal, thousands in _WAYS]
    fitting = [way for way in ways if _share_read(way, numbers, counts) >= 1 - TYPOS]
    if not fitting or _is_grouped_alike(fitting[0], numbers):
        return None
    if fitting[0] == OWN:
        return None
    chosen, *others_fitting = fitting
    text = max(numbers, key=lambda text: (_tells(text, chosen, others_fitting), len(text)))
    number = chosen.read_number(text)
    rivals = tuple((way, _example(text, way)) for way in others_fitting if way.read_number(text) != number)
    return Recognised(chosen, _example(text, chosen), rivals[:1], signs)


def _signs(counts: pd.Series, others: list[str]) -> tuple[str, ...]:
    """Which texts in a column of numbers say that nothing is known: one or two that come again."""
    textual = (text for text in others if text.startswith("#") or not re.search(r"\d", text))
    repeated = tuple(text for text in textual if counts[text] >= 2 and len(text) <= 20)
    few = 0 < len(repeated) <= MOST_SIGNS and counts[[*repeated]].sum() < counts.sum() / 2
    return repeated if few else ()


def _is_unit(match: re.Match[str]) -> bool:
    """Tell whether what stands around a number is a unit, and not a part of a code like A12 or 3b."""
    if before := match["before"]:
        is_money = before[-1] in _CURRENCIES and (len(before) == 1 or before[:-1].isupper())
        return is_money or before in _CODES | _BOTH
    after = match["after"].strip()
    return after in _UNITS or after in _CODES or after in _CURRENCIES or (bool(match["gap"]) and after.isalpha())


def _share_read(way: Notation, numbers: Mapping[str, re.Match[str]], counts: pd.Series) -> float:
    read = [way.read_number(text) is not None for text in numbers]
    weights = counts[[*numbers]].to_numpy()
    return float(weights[np.array(read)].sum() / weights.sum())


def _is_grouped_alike(way: Notation, numbers: Mapping[str, re.Match[str]]) -> bool:
    """Tell whether blanks part all texts alike, as in a number of a phone or a card: then they count nothing."""
    shapes = {re.sub(r"\d", "0", match["body"]) for match in numbers.values()}
    return way.thousands in (" ", "'") and len(shapes) == 1 and len(numbers) > 2


def _tells(text: str, chosen: Notation, others: list[Notation]) -> bool:
    return any(way.read_number(text) != chosen.read_number(text) for way in others)


def _example(text: str, way: Notation) -> str:
    number = way.read_number(text)
    return f"{text} is {'no number' if number is None else f'{number:.15g}'}"


def _has_points(cells: pd.Series) -> bool:
    """Tell whether numbers of a column in Serin's own notation have fractions, and not only what could be thousands."""
    if not is_text(cells):
        return False
    return bool(cells.head(MOST_DISTINCT).str.match(r"^\s*[-+]?\d+\.(?:\d{1,2}|\d{4,})\s*$", na=False).any())


def _as_told(found: Recognised, told: Mapping[str, Any]) -> Recognised:
    """Take the reading that a person told, where it is one of those that fit. Of numbers, dates say nothing."""
    keys = [key for key in told if (key == "dates") == bool(found.notation.dates)]
    ways = [(found.notation, found.example), *found.rivals]
    fitting = [way for way in ways if keys and all(getattr(way[0], key) == told[key] for key in keys)]
    return replace(found, notation=fitting[0][0], example=fitting[0][1], rivals=()) if len(fitting) == 1 else found


def _as_others(found: Recognised, decimals: set[str], day_first: set[bool]) -> Recognised:
    """Take the reading that all other columns have, where these are of one."""
    if not found.rivals:
        return found
    ways = [(found.notation, found.example), *found.rivals]
    if found.notation.dates:
        fitting = [way for way in ways if day_first == {str(way[0].dates)[:2] == "%d"}]
    else:
        fitting = [way for way in ways if decimals == {way[0].decimal}]
    return replace(found, notation=fitting[0][0], example=fitting[0][1], rivals=()) if len(fitting) == 1 else found


def _as_dates(counts: pd.Series) -> Recognised | None:
    texts = pd.Series(counts.index, dtype="str")
    matches = [match for text in texts if (match := _DATE.fullmatch(text))]
    if len(matches) < len(texts) * (1 - TYPOS):
        return _as_named_dates(texts)
    firsts, seconds = (max(int(match[side]) for match in matches) for side in ("first", "second"))
    ends = {"dm": (firsts, seconds), "md": (seconds, firsts)}
    orders = [order for order, (days, months) in ends.items() if days <= 31 and months <= 12]
    if matches[0]["mark"] == "." and "dm" in orders:
        orders = ["dm"]
    formats = [_format(order, matches[0]) for order in orders]
    fitting = [dates for dates in formats if not parse_times(texts, Notation(dates=dates)).wrong.mean() > TYPOS]
    if not fitting:
        return None
    text = next((match[0] for match in matches if match["first"] != match["second"]), matches[0][0])
    chosen, *rivals = [(Notation(dates=dates), _moment(text, dates)) for dates in fitting]
    return Recognised(*chosen, rivals=tuple(rivals))


def _as_named_dates(texts: pd.Series) -> Recognised | None:
    if texts.str.contains(r"[A-Za-zÄäûé]{3}", na=False).mean() < 1 - TYPOS or not texts.str.contains(r"\d").all():
        return None
    for dates in _NAMED_DATES:
        if parse_times(texts, Notation(dates=dates)).wrong.mean() <= TYPOS:
            return Recognised(Notation(dates=dates), _moment(texts.iloc[0], dates))
    return None


def _format(order: str, match: re.Match[str]) -> str:
    mark, year = match["mark"], "%Y" if len(match["year"]) == 4 else "%y"
    date = mark.join([f"%{order[0]}", f"%{order[1]}", year])
    if not match["rest"]:
        return date
    hours = "%I:%M" if match["half"] else "%H:%M"
    gap = " " if match["half"] and match["half"].startswith(" ") else ""
    seconds = f"{':%S' if match['seconds'] else ''}{'.%f' if match['fraction'] else ''}"
    return f"{date}{match['rest'][0]}{hours}{seconds}{f'{gap}%p' if match['half'] else ''}"


def _moment(text: str, dates: str) -> str:
    seconds = parse_times(pd.Series([text], dtype="str"), Notation(dates=dates)).values[0]
    return f"{text} is {pd.Timestamp(seconds, unit='s').date()}"
