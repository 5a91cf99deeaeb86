"""Does a table keep to the contract? What breaks it is a reason, with its rows.

A row that breaks the contract is set aside: row_faults.py. A missing column, too many such rows, too few good ones, or
a target that cannot be learned refuse the table as a whole: table_faults.py. A table is looked at part by part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec
from serin.data.cells import Mask, parse_categories
from serin.data.labels import Labels, NewLabel, find_new_labels, known_labels, new_classes, rare_class, rare_labels
from serin.data.raw_table import RawTable
from serin.data.reasons import ROWS_NAMED, Reason
from serin.data.row_faults import Fault, Tally, explain_rows, mark_bad, read_columns, read_feature, tally
from serin.data.table_faults import (
    missing_columns,
    missing_features,
    one_value,
    too_few_good,
    too_many_bad,
    unlearnable_classes,
    used_columns,
)
from serin.profile.profile import Profile


@dataclass(frozen=True, slots=True)
class PartFinding:
    """What became of a part. table: its typed columns, all rows of them; is_bad: which rows break the contract."""

    table: pd.DataFrame
    is_bad: Mask
    faults: Sequence[Fault]

    @property
    def why(self) -> NDArray[np.object_]:
        """For each bad row, which columns break the contract, and how."""
        return explain_rows(self.faults, self.is_bad)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a table as a whole.

    refusals: why it is refused; () where it is not. reasons: why rows were set aside. rare: labels that one row has; it
    is to be looked at again, so that these are set aside. new_labels: of good rows, where the contract does not say
    which classes there are.
    """

    rows: int
    good_rows: int
    bad_rows: int
    refusals: tuple[Reason, ...]
    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    rare: tuple[str, ...] = ()
    new_labels: tuple[NewLabel, ...] = ()


@dataclass(slots=True)
class Expectation:
    """Looks at the parts of a table, and then says what is to be said of it as a whole.

    previous: the profile of the rows before it, which it adds to or replaces. rare: labels that one row has, as looking
    at all of it before told.
    """

    contract: Contract
    previous: Profile | None = None
    rare: tuple[str, ...] = ()
    rows: int = 0
    bad: int = 0
    place: str = "line"
    blank: int = 0
    blank_lines: list[int] = field(default_factory=list)
    above: tuple[str, ...] = ()
    columns: dict[str, None] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    unnamed: frozenset[str] | None = None
    ends: set[float] = field(default_factory=set)
    tallies: dict[tuple[str, ...], Tally] = field(default_factory=dict)
    labels: Labels = field(init=False)

    def __post_init__(self) -> None:
        self.labels = Labels(frozenset(known_labels(self.contract, self.previous)))

    @property
    def is_hopeless(self) -> bool:
        """Whether a column is missing so far; of a table whose every part has the same, for good."""
        return any(name not in self.columns or name in self.unusable for name in used_columns(self.contract))

    def look(self, raw: RawTable) -> PartFinding | None:
        """Look at a part; None where it cannot be judged."""
        self._note(raw)
        if self.is_hopeless and not raw.may_lack_columns:
            return None
        columns, faults = read_columns(raw.frame, self.contract)
        table = pd.DataFrame(columns, copy=False)
        target = table[self.contract.target]
        if self.rare and (rare := rare_class(target, self.rare, self.contract)).cells.any():
            faults.append(rare)
        is_bad = mark_bad(faults, np.zeros(len(raw.lines), dtype=bool))
        self.bad += int(is_bad.sum())
        tally(self.tallies, faults, raw)
        if self.contract.task is Task.CLASSIFICATION:
            self.labels.add(target[~is_bad], raw.lines[~is_bad])
        elif len(good := target[~is_bad]):
            self.ends = {min({*self.ends, good.min()}), max({*self.ends, good.max()})}
        return PartFinding(table, is_bad, faults)

    def _note(self, raw: RawTable) -> None:
        self.rows += len(raw.lines)
        self.place = raw.place
        self.above += raw.above
        self.blank += len(raw.blank)
        self.blank_lines += raw.blank[: ROWS_NAMED - len(self.blank_lines)].tolist()
        self.columns.update(dict.fromkeys(map(str, raw.frame.columns)))
        self.unusable |= raw.unusable
        self.unnamed = raw.unnamed if self.unnamed is None else self.unnamed & raw.unnamed

    def conclude(self) -> Outcome:
        """Say what became of the table whose parts were looked at."""
        contract = self.contract
        notes = [*self._lines_above(), *self._new_columns(), *self._blank_rows()]
        before = self.previous if contract.data.uploads == "append" else None
        refusals = [*missing_columns([*self.columns], self.unusable, used_columns(contract))]
        if refusals:
            return Outcome(self.rows, 0, 0, tuple(refusals), (), tuple(notes))
        is_of_classes, counts = contract.task is Task.CLASSIFICATION, self.labels.counts
        good = self.rows - self.bad
        refusals += too_many_bad(self.bad, self.rows, contract)
        if not refusals:
            refusals += (
                unlearnable_classes(counts, contract, before)
                if is_of_classes
                else one_value(self.ends, contract, before)
            )
        if not refusals and is_of_classes:
            if not self.rare and (rare := rare_labels(counts, contract, before)):
                return Outcome(self.rows, good, self.bad, (), (), (), tuple(rare))
            notes += new_classes(self.labels, contract)
        refusals += too_few_good(good, contract)
        reasons = [entry.reason(self.rows, self.place) for entry in self._tallies()]
        new_labels = find_new_labels(self.labels) if is_of_classes else ()
        return Outcome(self.rows, good, self.bad, tuple(refusals), tuple(reasons), tuple(notes), (), new_labels)

    def _tallies(self) -> list[Tally]:
        """The faults in the order of the columns, as one part would give them."""
        order = {name: place for place, name in enumerate(used_columns(self.contract))}
        return sorted(self.tallies.values(), key=lambda entry: order[entry.fault.column])

    def _new_columns(self) -> Iterator[Reason]:
        known = {*used_columns(self.contract), *self.contract.other_columns, *(self.unnamed or ())}
        new = [name for name in dict.fromkeys((*self.columns, *self.unusable)) if name not in known]
        if new:
            listed = ", ".join(new[:10]) + (f" and {len(new) - 10} more" if len(new) > 10 else "")
            yield Reason(
                "NEW_COLUMN",
                f"the contract does not know the column{'s' if len(new) > 1 else ''} {listed}; not used",
                "Add it to features to learn from it, or to data.ignore to read no more of it.",
                column=new[0] if len(new) == 1 else None,
                count=len(new),
            )

    def _lines_above(self) -> Iterator[Reason]:
        if self.above:
            lines = "1 line" if len(self.above) == 1 else f"{len(self.above)} lines"
            yield Reason(
                "LINES_ABOVE",
                f"{lines} above the names of the columns {'is' if len(self.above) == 1 else 'are'} no row: "
                f"{', '.join(repr(line[:60]) for line in self.above[:3])}",
                "If the names stand there, write them as the other rows are, with as many cells.",
                count=len(self.above),
            )

    def _blank_rows(self) -> Iterator[Reason]:
        if self.blank:
            rows, are = ("1 row", "is") if self.blank == 1 else (f"{self.blank:,} rows", "are")
            message = f"nothing is written in {rows}, which {are} left out and not counted"
            fix = "If cells got lost there, fill them in."
            yield Reason("BLANK_ROWS", message, fix, rows=tuple(self.blank_lines), count=self.blank)


def expect_table(raw: RawTable, contract: Contract, rare: tuple[str, ...] = ()) -> Outcome:
    """Say what becomes of a table that is at hand as one part."""
    expectation = Expectation(contract, rare=rare)
    expectation.look(raw)
    outcome = expectation.conclude()
    return expect_table(raw, contract, outcome.rare) if outcome.rare else outcome


@dataclass(slots=True)
class FeatureExpectation:
    """Looks at the parts of a table whose rows are to be answered, as `encode` judges those of a request.

    The column of a feature that may be missing may be absent, and there may be any others.
    """

    spec: ServingSpec
    rows: int = 0
    bad: int = 0
    place: str = "line"
    columns: dict[str, None] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    tallies: dict[tuple[str, ...], Tally] = field(default_factory=dict)

    @property
    def refusals(self) -> tuple[Reason, ...]:
        """Why the table is refused as a whole, for what was seen of it; () where it is not."""
        return tuple(missing_features([*self.columns], self.unusable, self.spec))

    def look(self, raw: RawTable) -> PartFinding | None:
        """Look at a part; None where it cannot be judged. Its table has the entity too, where it is there."""
        self.rows += len(raw.lines)
        self.place = raw.place
        self.columns.update(dict.fromkeys(map(str, raw.frame.columns)))
        self.unusable |= raw.unusable
        if self.refusals and not raw.may_lack_columns:
            return None
        absent = pd.Series(np.nan, index=raw.frame.index)
        columns: dict[str, Any] = {}
        faults: list[Fault] = []
        for feature in self.spec.features:
            cells = raw.frame.get(feature.name, absent)
            columns[feature.name], of_feature = read_feature(feature.name, cells, feature, feature.notation)
            faults += [fault for fault in of_feature if fault.cells.any()]
        entity = self.spec.entity
        if entity is not None and entity in raw.frame.columns and entity not in columns:
            columns[entity], _ = parse_categories(raw.frame[entity])
        is_bad = mark_bad(faults, np.zeros(len(raw.lines), dtype=bool))
        self.bad += int(is_bad.sum())
        tally(self.tallies, faults, raw)
        return PartFinding(pd.DataFrame(columns, copy=False), is_bad, faults)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why rows were set aside."""
        order = {feature.name: place for place, feature in enumerate(self.spec.features)}
        tallies = sorted(self.tallies.values(), key=lambda entry: order[entry.fault.column])
        return tuple(entry.reason(self.rows, self.place) for entry in tallies)
