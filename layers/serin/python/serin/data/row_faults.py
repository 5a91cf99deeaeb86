"""Which cells break the contract? Each is read as the contract says; a row in which one breaks it is set aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from serin.data.cells import Mask, Parsed, as_text, parse_booleans, parse_categories, parse_numbers, parse_times
from serin.data.read import RawTable
from serin.data.reasons import ROWS_NAMED, Reason, name_spellings
from serin.serving.rows.encode import MAX_MAGNITUDE, bounds_of

FAULTS_NAMED = 10  # of one row


@dataclass(frozen=True, slots=True)
class Fault:
    """Cells of one column that break one rule."""

    code: str
    column: str
    cells: Mask
    problem: str
    fix: str


def read_columns(frame: pd.DataFrame, contract: Contract) -> tuple[dict[str, Any], list[Fault]]:
    columns: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, feature in contract.features.items():
        columns[name], of_column = read_feature(name, frame[name], feature, contract.read.of(name))
        faults += of_column
    kind = FeatureType.CATEGORY if contract.task is Task.CLASSIFICATION else FeatureType.NUMBER
    others = {contract.target: Feature(type=kind, values=contract.classes)}
    if contract.entity is not None:
        others.setdefault(contract.entity, Feature(type=FeatureType.CATEGORY))
    for name, feature in others.items():
        if name not in columns:
            columns[name], of_column = read_feature(name, frame[name], feature, contract.read.of(name))
            faults += [_of_role(fault, contract) for fault in of_column]
    if contract.time is not None and contract.time not in columns:
        notation = contract.read.of(contract.time)
        parsed = parse_times(frame[contract.time], notation)
        columns[contract.time] = parsed.values
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
    too_large = np.abs(values) > MAX_MAGNITUDE
    problem = f"is infinite, or beyond {MAX_MAGNITUDE:g}, the most that a number may be"
    yield Fault("DOMAIN", name, too_large, problem, "Correct the values, or leave them empty.")
    if feature.type == FeatureType.INTEGER:
        broken = ~np.isnan(values) & ~too_large & (values != np.floor(values))
        fix = "Write whole numbers, or let the contract say `type: number`."
        yield Fault("TYPE", name, broken, "should hold a whole number and does not", fix)
    low, high = bounds_of(feature)
    outside = ~too_large & ((values < low) | (values > high))
    least, most = (None if bound is None else f"{bound:,.12g}" for bound in (feature.min, feature.max))
    allowed = f"{least} to {most}" if least and most else f"{least} or more" if least else f"{most} or less"
    fix = "Correct the values; where they are right, widen min and max in the contract."
    yield Fault("DOMAIN", name, outside, f"is outside of what the contract allows, {allowed}", fix)


def _unlisted(name: str, values: pd.Series, listed: tuple[str, ...]) -> Fault:
    unlisted = ~values.isin(list(listed)).to_numpy() & values.notna().to_numpy()
    categories = [str(value) for value in pd.unique(values[unlisted])]
    problem = f"holds categories that the contract does not list: {name_spellings(categories, listed)}"
    return Fault("DOMAIN", name, unlisted, problem, "Correct the spelling, or list the category in the contract.")


def reason_of(fault: Fault, raw: RawTable) -> Reason:
    places = np.flatnonzero(fault.cells)
    lines = raw.lines[places[:ROWS_NAMED]].tolist()
    cell = as_text(raw.frame[fault.column].iloc[places[:1]]).iloc[0]
    example = f": {_shortened(cell)!r}" if isinstance(cell, str) and cell.strip() else ""
    if example and fault.code == "MISSING":
        example += ", which is read as empty"
    rows = "1 row" if len(places) == 1 else f"{len(places):,} of {len(raw.lines):,} rows"
    message = f"{fault.column} {fault.problem}, in {rows}; first in {raw.place} {lines[0]:,}{example}"
    return Reason(fault.code, message, fault.fix, fault.column, tuple(lines), len(places))


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def mark_bad(faults: list[Fault], is_bad: Mask) -> Mask:
    for fault in faults:
        is_bad = is_bad | fault.cells
    return is_bad


def explain_rows(faults: list[Fault], is_bad: Mask) -> NDArray[np.object_]:
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
