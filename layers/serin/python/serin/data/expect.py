"""Does a table keep to the contract? What breaks it is a reason, with its rows.

A row that breaks the contract is set aside: row_faults.py. A missing column, too many such rows, too few good ones, or
a target that cannot be learned refuse the table as a whole: table_faults.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec
from serin.data.cells import Mask, parse_categories
from serin.data.labels import NewLabel, find_new_labels, new_classes, rare_classes
from serin.data.read import RawTable
from serin.data.reasons import ROWS_NAMED, Reason
from serin.data.row_faults import Fault, explain_rows, mark_bad, read_columns, read_feature, reason_of
from serin.data.table_faults import (
    missing_columns,
    missing_features,
    too_few_good,
    too_many_bad,
    unlearnable_target,
    used_columns,
)
from serin.profile.profile import Profile


@dataclass(frozen=True, slots=True)
class TableFinding:
    """What became of a table. table: its typed columns, all rows of them; None where a column is missing.

    is_bad: which rows break the contract; why: for each of these which columns do, and how.
    refusals: why the table is refused as a whole; () where it is not. reasons: why rows were set aside.
    new_labels: of good rows, where the contract does not say which classes there are.
    """

    table: pd.DataFrame | None
    is_bad: Mask
    why: NDArray[np.object_]
    refusals: tuple[Reason, ...]
    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    new_labels: tuple[NewLabel, ...] = ()


def expect(raw: RawTable, contract: Contract, previous: Profile | None = None) -> TableFinding:
    """Judge a table. previous: the profile of the rows before it, which it adds to or replaces."""
    notes = [*_lines_above(raw), *_new_columns(raw, contract), *_blank_rows(raw)]
    before = previous if contract.data.uploads == "append" else None
    is_bad = np.zeros(len(raw.lines), dtype=bool)
    new_labels: tuple[NewLabel, ...] = ()
    refusals = list(missing_columns(raw, used_columns(contract)))
    if refusals:
        return TableFinding(None, is_bad, np.empty(0, dtype=object), tuple(refusals), (), tuple(notes))
    columns, faults = read_columns(raw.frame, contract)
    table = pd.DataFrame(columns)
    is_bad = mark_bad(faults, is_bad)
    refusals += too_many_bad(is_bad, contract)
    if not refusals:
        refusals += unlearnable_target(table[contract.target][~is_bad], contract, before)
    if not refusals and contract.task is Task.CLASSIFICATION:
        faults += rare_classes(table[contract.target].mask(is_bad), contract, before)
        is_bad = mark_bad(faults, is_bad)
        refusals += too_many_bad(is_bad, contract)
        good = table[contract.target].mask(is_bad)
        new_labels = find_new_labels(good, contract, previous)
        notes += new_classes(good, raw, contract, previous)
    if int((~is_bad).sum()) < contract.data.min_rows:
        refusals.append(too_few_good(is_bad, contract))
    reasons = tuple(reason_of(fault, raw) for fault in faults)
    return TableFinding(table, is_bad, explain_rows(faults, is_bad), tuple(refusals), reasons, tuple(notes), new_labels)


def expect_features(raw: RawTable, spec: ServingSpec) -> TableFinding:
    """Judge rows that are to be answered as `encode` judges those of a request, however many are bad.

    The column of a feature that may be missing may be absent, and there may be any others. The table of the finding has
    the entity too, where it is there.
    """
    is_bad = np.zeros(len(raw.lines), dtype=bool)
    refusals = tuple(missing_features(raw, spec))
    if refusals:
        return TableFinding(None, is_bad, np.empty(0, dtype=object), refusals, (), ())
    absent = pd.Series(np.nan, index=raw.frame.index)
    columns: dict[str, Any] = {}
    faults: list[Fault] = []
    for feature in spec.features:
        cells = raw.frame.get(feature.name, absent)
        columns[feature.name], of_feature = read_feature(feature.name, cells, feature, feature.notation)
        faults += [fault for fault in of_feature if fault.cells.any()]
    if spec.entity is not None and spec.entity in raw.frame.columns and spec.entity not in columns:
        columns[spec.entity], _ = parse_categories(raw.frame[spec.entity])
    is_bad = mark_bad(faults, is_bad)
    reasons = tuple(reason_of(fault, raw) for fault in faults)
    return TableFinding(pd.DataFrame(columns), is_bad, explain_rows(faults, is_bad), (), reasons, ())


def _new_columns(raw: RawTable, contract: Contract) -> Iterator[Reason]:
    known = {*used_columns(contract), *contract.other_columns}
    new = [str(name) for name in (*raw.frame.columns, *raw.unusable) if name not in known]
    if new:
        listed = ", ".join(new[:10]) + (f" and {len(new) - 10} more" if len(new) > 10 else "")
        yield Reason(
            "NEW_COLUMN",
            f"the contract does not know the column{'s' if len(new) > 1 else ''} {listed}; not used",
            "Add it to features to learn from it, or to data.ignore to read no more of it.",
            column=new[0] if len(new) == 1 else None,
            count=len(new),
        )


def _lines_above(raw: RawTable) -> Iterator[Reason]:
    if raw.above:
        lines = "1 line" if len(raw.above) == 1 else f"{len(raw.above)} lines"
        yield Reason(
            "LINES_ABOVE",
            f"{lines} above the names of the columns {'is' if len(raw.above) == 1 else 'are'} no row: "
            f"{', '.join(repr(line[:60]) for line in raw.above[:3])}",
            "If the names stand there, write them as the other rows are, with as many cells.",
            count=len(raw.above),
        )


def _blank_rows(raw: RawTable) -> Iterator[Reason]:
    if count := len(raw.blank):
        rows = "1 row" if count == 1 else f"{count:,} rows"
        message = f"nothing is written in {rows}, which {'is' if count == 1 else 'are'} left out and not counted"
        lines = tuple(raw.blank[:ROWS_NAMED].tolist())
        yield Reason("BLANK_ROWS", message, "If cells got lost there, fill them in.", rows=lines, count=count)
