"""Which cells break the contract? Each is read as the contract says; a row in which one breaks it is set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.keys_and_defaults import Feature, FeatureType
from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.contract.notation import Notation
from serin.contract.serving_spec import SpecFeature
from serin.data.cells import Mask, Parsed, parse_booleans, parse_categories, parse_numbers, parse_times
from serin.data.raw_table import RawTable
from serin.data.reasons import ROWS_NAMED, Reason, name_spellings
from serin.serving.rows.encode import MAX_MAGNITUDE, bounds_of

FAULTS_NAMED = 10  # of one row
MOST_VALUES = 100_000  # that are told apart, of one fault


@dataclass(frozen=True, slots=True)
class Fault:
    """Cells of one column that break one rule. values: what they hold, each once, where that is said; known: what may
    have been meant.
    """

    code: str
    column: str
    cells: Mask
    problem: str
    fix: str
    values: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


@dataclass(slots=True)
class Tally:
    """One fault over all parts of a table. lines: the first it is in; example: its first cell, as it was written."""

    fault: Fault
    count: int = 0
    lines: list[int] = field(default_factory=list)
    example: object = None
    values: dict[str, None] = field(default_factory=dict)

    def add(self, fault: Fault, raw: RawTable) -> None:
        places = np.flatnonzero(fault.cells)
        if not self.count:
            self.example = raw.cell(fault.column, int(places[0])) if fault.column in raw.frame else None
        self.lines += raw.lines[places[: ROWS_NAMED - len(self.lines)]].tolist()
        self.count += len(places)
        if len(self.values) < MOST_VALUES:
            self.values.update(dict.fromkeys(fault.values))

    def reason(self, rows: int, place: str) -> Reason:
        """Say what is wrong. rows: of the whole table; place: what its lines count."""
        fault, cell = self.fault, self.example
        problem = f"{fault.problem}: {name_spellings([*self.values], fault.known)}" if self.values else fault.problem
        example = f": {_shortened(cell)!r}" if isinstance(cell, str) and cell.strip() else ""
        if example and fault.code == "MISSING":
            example += ", which is read as empty"
        where = "1 row" if self.count == 1 else f"{self.count:,} of {rows:,} rows"
        message = f"{fault.column} {problem}, in {where}; first in {place} {self.lines[0]:,}{example}"
        return Reason(fault.code, message, fault.fix, fault.column, tuple(self.lines), self.count)


def tally(tallies: dict[tuple[str, ...], Tally], faults: Iterable[Fault], raw: RawTable) -> None:
    """Add the faults of a part to those of the parts before."""
    for fault in faults:
        key = (fault.column, fault.code, fault.problem, fault.fix)
        tallies.setdefault(key, Tally(fault)).add(fault, raw)


def read_columns(frame: pd.DataFrame, contract: Contract) -> tuple[dict[str, Any], list[Fault]]:
    """Read a part of a table as the contract says; a column that it has not is empty."""
    columns: dict[str, Any] = {}
    faults: list[Fault] = []
    absent = pd.Series(np.nan, index=frame.index)
    for name, feature in contract.features.items():
        columns[name], of_column = read_feature(name, frame.get(name, absent), feature, contract.read.of(name))
        faults += of_column
    kind = FeatureType.CATEGORY if contract.task is Task.CLASSIFICATION else FeatureType.NUMBER
    others = {contract.target: Feature(type=kind, values=contract.classes)}
    if contract.entity is not None:
        others.setdefault(contract.entity, Feature(type=FeatureType.CATEGORY))
    for name, feature in others.items():
        if name not in columns:
            columns[name], of_column = read_feature(name, frame.get(name, absent), feature, contract.read.of(name))
            faults += [_of_role(fault, contract) for fault in of_column]
    if contract.time is not None and contract.time not in columns:
        notation = contract.read.of(contract.time)
        parsed = parse_times(frame.get(contract.time, absent), notation)
        columns[contract.time] = np.round(parsed.values * 1e6) / 1e6
        faults.append(replace(_missing(contract.time, parsed.missing), fix=_NEEDED))
        faults.append(Fault("TIME", contract.time, parsed.wrong, "holds no time", _how_times_are_written(notation)))
    return columns, [fault for fault in faults if fault.cells.any()]


def read_feature(
    name: str, cells: pd.Series, feature: Feature | SpecFeature, notation: Notation
) -> tuple[Any, list[Fault]]:
    match feature.type:
        case FeatureType.CATEGORY:
            values, missing = parse_categories(cells, feature.values or (), notation)
            listed = feature.values if isinstance(feature, Feature) else None  # of a spec, they are those learned
            faults = [] if listed is None else [_unlisted(name, values, listed)]
            return values, faults + ([] if feature.allows_missing else [_missing(name, missing)])
        case FeatureType.BOOLEAN:
            parsed = parse_booleans(cells, notation)
            faults = [_wrong_type(name, parsed, "true or false", "Write true or false, yes or no, 1 or 0.")]
        case FeatureType.INTEGER | FeatureType.NUMBER:
            parsed = parse_numbers(cells, notation)
            fix = _how_numbers_are_written(notation)
            kind = "a whole number" if feature.type == FeatureType.INTEGER else "a number"
            faults = [_wrong_type(name, parsed, kind, fix), *_out_of_range(name, parsed, feature)]
    return parsed.values, faults + ([] if feature.allows_missing else [_missing(name, parsed.missing)])


def _how_numbers_are_written(notation: Notation) -> str:
    if not notation.has_own_numbers:
        return (
            "Write numbers like 12.5; where a file has 12,5, or 1,250, or units, let the contract say so: "
            'read: {decimal: ","}, {thousands: ","}, {units: [kg]}.'
        )
    example = f"1{notation.thousands}250{notation.decimal}5{f' {notation.units[0]}' if notation.units else ''}"
    return f"Write numbers like {example}, as the contract's read says, or correct that."


def _how_times_are_written(notation: Notation) -> str:
    if notation.dates is None:
        return 'Write times like 2024-05-31T12:00:00Z, or let the contract say how: read: {dates: "%d.%m.%Y"}.'
    example = datetime(2024, 5, 31, 12, tzinfo=UTC).strftime(notation.dates)
    return f"Write times like {example}, as the contract's read says, or like 2024-05-31T12:00:00Z."


def _wrong_type(name: str, parsed: Parsed, kind: str, fix: str) -> Fault:
    return Fault("TYPE", name, parsed.wrong, f"should hold {kind} and does not", fix)


_NEEDED = "Fill it in, or leave such rows out: the target, the entity and the time of a row are always needed."


def _of_role(fault: Fault, contract: Contract) -> Fault:
    """Say what to do about a cell of the target or the entity."""
    if fault.code == "MISSING":
        return replace(fault, fix=_NEEDED)
    if fault.code == "DOMAIN" and contract.classes is not None:
        return replace(fault, code="CLASS", fix="Correct the spelling, or add the label to classes in the contract.")
    return fault


def _missing(name: str, missing: Mask) -> Fault:
    fix = "Fill it in, or let the contract say `missing: allow` of this feature."
    return Fault("MISSING", name, missing, "is empty", fix)


def _out_of_range(name: str, parsed: Parsed, feature: Feature | SpecFeature) -> Iterator[Fault]:
    values = parsed.values
    low, high = bounds_of(feature)
    least, most = np.fmin.reduce(values, initial=np.inf), np.fmax.reduce(values, initial=-np.inf)
    is_whole = feature.type != FeatureType.INTEGER or bool((np.isnan(values) | (values == np.floor(values))).all())
    if is_whole and max(low, -MAX_MAGNITUDE) <= least and most <= min(high, MAX_MAGNITUDE):
        return
    too_large = np.abs(values) > MAX_MAGNITUDE
    problem = f"is infinite, or beyond {MAX_MAGNITUDE:g}, the most that a number may be"
    yield Fault("DOMAIN", name, too_large, problem, "Correct the values, or leave them empty.")
    if feature.type == FeatureType.INTEGER:
        broken = ~np.isnan(values) & ~too_large & (values != np.floor(values))
        fix = "Write whole numbers, or let the contract say `type: number`."
        yield Fault("TYPE", name, broken, "should hold a whole number and does not", fix)
    outside = ~too_large & ((values < low) | (values > high))
    from_, to = (None if bound is None else f"{bound:,.12g}" for bound in (feature.min, feature.max))
    allowed = f"{from_} to {to}" if from_ and to else f"{from_} or more" if from_ else f"{to} or less"
    fix = "Correct the values; where they are right, widen min and max in the contract."
    yield Fault("DOMAIN", name, outside, f"is outside of what the contract allows, {allowed}", fix)


def _unlisted(name: str, values: pd.Series, listed: tuple[str, ...]) -> Fault:
    unlisted = ~values.isin(list(listed)).to_numpy() & values.notna().to_numpy()
    categories = [str(value) for value in pd.unique(values[unlisted])]
    fix = "Correct the spelling, or list the category in the contract."
    return Fault(
        "DOMAIN", name, unlisted, "holds categories that the contract does not list", fix, tuple(categories), listed
    )


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def mark_bad(faults: Sequence[Fault], is_bad: Mask) -> Mask:
    for fault in faults:
        is_bad = is_bad | fault.cells
    return is_bad


def explain_rows(faults: Sequence[Fault], is_bad: Mask) -> NDArray[np.object_]:
    """Say of each bad row what is wrong with it; rows with the same faults share one text."""
    kinds, texts = np.zeros(int(is_bad.sum()), dtype=np.int64), [""]
    for fault in faults:
        text = f"{_shortened(fault.column)}: {fault.code}"
        distinct_kinds, kinds = np.unique(2 * kinds + fault.cells[is_bad], return_inverse=True)
        texts = [_joined(texts[kind // 2], text) if kind % 2 else texts[kind // 2] for kind in distinct_kinds.tolist()]
    return np.array(texts, dtype=object)[kinds]


def _joined(text: str, more: str) -> str:
    """Add what else is wrong with a row; of much, the first is enough."""
    if text.endswith("…"):
        return text
    return f"{text}; {more if text.count('; ') < FAULTS_NAMED - 1 else '…'}" if text else more
