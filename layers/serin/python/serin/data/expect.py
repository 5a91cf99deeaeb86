"""Does a table keep to the contract? Each cell is read as the contract says; what breaks it is a reason, with its rows.

A row that breaks the contract is set aside. A missing column, too many such rows, too few good ones, or a target that
cannot be learned refuse the table as a whole.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.contract.notation import is_number
from serin.contract.sections import Feature, FeatureType
from serin.contract.spec import ServingSpec, SpecFeature, label_text
from serin.data.cells import Mask, Parsed, as_text, parse_booleans, parse_categories, parse_numbers, parse_times
from serin.data.read import RawTable, name_some
from serin.profile.profile import Categories, Numbers, Profile
from serin.serving.rows.encode import MAX_MAGNITUDE, bounds_of

ROWS_NAMED = 20
FAULTS_NAMED = 10  # of one row
MAX_CLASSES = 50


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding: what is wrong, where, and what to do. rows: the first lines or rows it is in, of `count` in all."""

    code: str
    message: str
    fix: str
    column: str | None = None
    rows: tuple[int, ...] = ()
    count: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "rows": list(self.rows)}


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label that no row before had. rows: how many have it; near: the known one that it may be meant to be."""

    label: str
    rows: int
    near: str | None


@dataclass(frozen=True, slots=True)
class Finding:
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


@dataclass(frozen=True, slots=True)
class _Fault:
    """Cells of one column that break one rule."""

    code: str
    column: str
    cells: Mask
    problem: str
    fix: str


def expect(raw: RawTable, contract: Contract, previous: Profile | None = None) -> Finding:
    """Judge a table. previous: the profile of the rows before it, which it adds to or replaces."""
    notes = [*_new_columns(raw, contract), *_blank_rows(raw)]
    before = previous if contract.data.uploads == "append" else None
    is_bad = np.zeros(len(raw.lines), dtype=bool)
    new_labels: tuple[NewLabel, ...] = ()
    refusals = list(_missing_columns(raw, _used(contract)))
    if refusals:
        return Finding(None, is_bad, np.empty(0, dtype=object), tuple(refusals), (), tuple(notes))
    columns, faults = _read_columns(raw.frame, contract)
    table = pd.DataFrame(columns)
    is_bad = _any(faults, is_bad)
    refusals += _too_many_bad(is_bad, contract)
    if not refusals:
        refusals += _unlearnable_target(table[contract.target][~is_bad], contract, before)
    if not refusals and contract.task is Task.CLASSIFICATION:
        faults += _rare_classes(table[contract.target].mask(is_bad), contract, before)
        is_bad = _any(faults, is_bad)
        refusals += _too_many_bad(is_bad, contract)
        good = table[contract.target].mask(is_bad)
        new_labels = find_new_labels(good, contract, previous)
        notes += _new_classes(good, raw, contract, previous)
    if int((~is_bad).sum()) < contract.data.min_rows:
        refusals.append(_too_few_good(is_bad, contract))
    reasons = tuple(_reason(fault, raw) for fault in faults)
    return Finding(table, is_bad, _why(faults, is_bad), tuple(refusals), reasons, tuple(notes), new_labels)


def expect_features(raw: RawTable, spec: ServingSpec) -> Finding:
    """Judge rows that are to be answered as `encode` judges those of a request, however many are bad.

    The column of a feature that may be missing may be absent, and there may be any others. The table of the finding has
    the entity too, where it is there.
    """
    is_bad = np.zeros(len(raw.lines), dtype=bool)
    refusals = tuple(_missing_features(raw, spec))
    if refusals:
        return Finding(None, is_bad, np.empty(0, dtype=object), refusals, (), ())
    absent = pd.Series(np.nan, index=raw.frame.index)
    columns: dict[str, Any] = {}
    faults: list[_Fault] = []
    for feature in spec.features:
        columns[feature.name], found = _read_feature(feature.name, raw.frame.get(feature.name, absent), feature)
        faults += [fault for fault in found if fault.cells.any()]
    if spec.entity is not None and spec.entity in raw.frame.columns and spec.entity not in columns:
        columns[spec.entity], _ = parse_categories(raw.frame[spec.entity])
    is_bad = _any(faults, is_bad)
    reasons = tuple(_reason(fault, raw) for fault in faults)
    return Finding(pd.DataFrame(columns), is_bad, _why(faults, is_bad), (), reasons, ())


def _missing_features(raw: RawTable, spec: ServingSpec) -> Iterator[Reason]:
    """Say which features cannot be read; of a table that has none of them, that is each."""
    features = {feature.name: f"a feature of type {feature.type}" for feature in spec.features}
    optional = [feature.name for feature in spec.features if feature.allows_missing]
    has_some = not raw.frame.columns.intersection(list(features)).empty
    others = dict.fromkeys((spec.target, *spec.other_columns), "")
    found = _missing_columns(raw, others | features, optional if has_some else ())
    return (reason for reason in found if reason.column in features)


def _used(contract: Contract) -> dict[str, str]:
    """Name the columns that are read, each with what the contract expects there."""
    expected = {name: f"a feature of type {feature.type}" for name, feature in contract.features.items()}
    expected[contract.target] = "the target"
    for name, role in ((contract.entity, "the entity"), (contract.time, "the time of a row")):
        if name is not None:
            expected.setdefault(name, role)
    return expected


def _missing_columns(raw: RawTable, used: Mapping[str, str], optional: Collection[str] = ()) -> Iterator[Reason]:
    """Say which columns cannot be read. optional: those that may be absent, where no other is named much like them."""
    spare = [str(name) for name in raw.frame.columns if name not in used]
    for name, role in used.items():
        if name in raw.unusable:
            yield Reason(
                "TYPE",
                f"the column {name} holds {raw.unusable[name]}; the contract expects {role}",
                "Send one number, text, boolean or time in each cell.",
                column=name,
            )
        elif name not in raw.frame.columns:
            near = nearest(name, spare)
            if name in optional and not near:
                continue
            yield Reason(
                "MISSING_COLUMN",
                f"there is no column {name}, {role}" + (f"; there is {near}" if near else ""),
                f"Rename {near} to {name}." if near else f"Add the column {name}, or take it out of the contract.",
                column=name,
            )


def nearest(name: str, names: list[str]) -> str | None:
    """Find the name most like another, whatever the case of its letters; None where none is."""
    folded = {other.casefold(): other for other in names}
    found = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[found[0]] if found else None


def _new_columns(raw: RawTable, contract: Contract) -> Iterator[Reason]:
    known = {*_used(contract), *contract.other_columns}
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


def _blank_rows(raw: RawTable) -> Iterator[Reason]:
    if count := len(raw.blank):
        rows = "1 row" if count == 1 else f"{count:,} rows"
        message = f"nothing is written in {rows}, which {'is' if count == 1 else 'are'} left out and not counted"
        lines = tuple(raw.blank[:ROWS_NAMED].tolist())
        yield Reason("BLANK_ROWS", message, "If cells got lost there, fill them in.", rows=lines, count=count)


def _read_columns(frame: pd.DataFrame, contract: Contract) -> tuple[dict[str, Any], list[_Fault]]:
    columns: dict[str, Any] = {}
    faults: list[_Fault] = []
    for name, feature in contract.features.items():
        columns[name], found = _read_feature(name, frame[name], feature)
        faults += found
    kind = FeatureType.CATEGORY if contract.task is Task.CLASSIFICATION else FeatureType.NUMBER
    others = {contract.target: Feature(type=kind, values=contract.classes)}
    if contract.entity is not None:
        others.setdefault(contract.entity, Feature(type=FeatureType.CATEGORY))
    for name, feature in others.items():
        if name not in columns:
            columns[name], found = _read_feature(name, frame[name], feature)
            faults += [_of_role(fault, contract) for fault in found]
    if contract.time is not None and contract.time not in columns:
        parsed = parse_times(frame[contract.time])
        columns[contract.time] = parsed.values
        faults.append(replace(_missing(contract.time, parsed.missing), fix=_NEEDED))
        faults.append(
            _Fault("TIME", contract.time, parsed.wrong, "holds no time", "Write times like 2024-05-31T12:00:00Z.")
        )
    return columns, [fault for fault in faults if fault.cells.any()]


def _read_feature(name: str, cells: pd.Series, feature: Feature | SpecFeature) -> tuple[Any, list[_Fault]]:
    match feature.type:
        case FeatureType.CATEGORY:
            values, missing = parse_categories(cells, feature.values or ())
            listed = feature.values if isinstance(feature, Feature) else None  # of a spec, they are those learned
            faults = [] if listed is None else [_unlisted(name, values, listed)]
            return values, faults + ([] if feature.allows_missing else [_missing(name, missing)])
        case FeatureType.BOOLEAN:
            parsed = parse_booleans(cells)
            faults = [_wrong_type(name, parsed, "true or false", "Write true or false, yes or no, 1 or 0.")]
        case FeatureType.INTEGER | FeatureType.NUMBER:
            parsed = parse_numbers(cells)
            fix = "Write numbers like 12.5, with a point and without units or thousands separators."
            kind = "a whole number" if feature.type == FeatureType.INTEGER else "a number"
            faults = [_wrong_type(name, parsed, kind, fix), *_out_of_range(name, parsed, feature)]
    return parsed.values, faults + ([] if feature.allows_missing else [_missing(name, parsed.missing)])


def _wrong_type(name: str, parsed: Parsed, kind: str, fix: str) -> _Fault:
    return _Fault("TYPE", name, parsed.wrong, f"should hold {kind} and does not", fix)


_NEEDED = "Fill it in, or leave such rows out: the target, the entity and the time of a row are always needed."


def _of_role(fault: _Fault, contract: Contract) -> _Fault:
    """Say what to do about a cell of the target or the entity."""
    if fault.code == "MISSING":
        return replace(fault, fix=_NEEDED)
    if fault.code == "DOMAIN" and contract.classes is not None:
        return replace(fault, code="CLASS", fix="Correct the spelling, or add the label to classes in the contract.")
    return fault


def _missing(name: str, missing: Mask) -> _Fault:
    fix = "Fill it in, or let the contract say `missing: allow` of this feature."
    return _Fault("MISSING", name, missing, "is empty", fix)


def _out_of_range(name: str, parsed: Parsed, feature: Feature | SpecFeature) -> Iterator[_Fault]:
    values = parsed.values
    too_large = np.abs(values) > MAX_MAGNITUDE
    problem = f"is infinite, or beyond {MAX_MAGNITUDE:g}, the most that a number may be"
    yield _Fault("DOMAIN", name, too_large, problem, "Correct the values, or leave them empty.")
    if feature.type == FeatureType.INTEGER:
        broken = ~np.isnan(values) & ~too_large & (values != np.floor(values))
        fix = "Write whole numbers, or let the contract say `type: number`."
        yield _Fault("TYPE", name, broken, "should hold a whole number and does not", fix)
    low, high = bounds_of(feature)
    outside = ~too_large & ((values < low) | (values > high))
    least, most = (None if bound is None else f"{bound:,.12g}" for bound in (feature.min, feature.max))
    allowed = f"{least} to {most}" if least and most else f"{least} or more" if least else f"{most} or less"
    fix = "Correct the values; where they are right, widen min and max in the contract."
    yield _Fault("DOMAIN", name, outside, f"is outside of what the contract allows, {allowed}", fix)


def _unlisted(name: str, values: pd.Series, listed: tuple[str, ...]) -> _Fault:
    unlisted = ~values.isin(list(listed)).to_numpy() & values.notna().to_numpy()
    found = [str(value) for value in pd.unique(values[unlisted])]
    problem = f"holds categories that the contract does not list: {_name_spellings(found, listed)}"
    return _Fault("DOMAIN", name, unlisted, problem, "Correct the spelling, or list the category in the contract.")


def _name_spellings(found: list[str], known: Collection[str]) -> str:
    """Name the first of some categories, each with the known one that it may be meant to be."""
    spelled = [
        f"{value!r}" + (f" (near to {near!r})" if (near := _nearest_spelling(value, known)) else "")
        for value in found[:5]
    ]
    return "; ".join(spelled) + (f"; and {len(found) - 5:,} more" if len(found) > 5 else "")


def _nearest_spelling(value: str, known: Collection[str]) -> str | None:
    """Find the category that one may be meant to be. Of numbers, 10 is not near to 1, but 1.0 is."""
    if not is_number(value):
        return nearest(value, list(known))
    return next((other for other in known if is_number(other) and float(other) == float(value)), None)


def _unlearnable_target(target: pd.Series, contract: Contract, previous: Profile | None) -> Iterator[Reason]:
    """Say why a target cannot be learned from its good rows and the previous ones together."""
    name = contract.target
    if not len(target):
        return
    if contract.task is Task.REGRESSION:
        before = previous.columns.get(name) if previous else None
        ends = {before.minimum, before.maximum} - {None} if isinstance(before, Numbers) else set()
        if len(ends | {target.min(), target.max()}) == 1:
            fix = "Send rows with different values of it."
            yield Reason(
                "ONE_VALUE", f"the target {name} is {target.iloc[0]:g} in every row; nothing can be learned", fix, name
            )
        return
    classes = _count_classes(target, contract, previous)
    if len(classes) > MAX_CLASSES:
        are_numbers = not parse_numbers(as_text(target)).wrong.any()
        fix = "Predict a number with `task: regression`." if are_numbers else "Choose a target with fewer classes."
        message = f"the target {name} has {len(classes):,} classes; at most {MAX_CLASSES} can be told apart"
        yield Reason("MANY_CLASSES", message, fix, name, count=len(classes))
    elif len(classes) == 1:
        message = f"the target {name} is {next(iter(classes))!r} in every row; nothing can be learned"
        yield Reason("ONE_CLASS", message, "Send rows of at least two classes together.", name)


def _rare_classes(target: pd.Series, contract: Contract, previous: Profile | None) -> list[_Fault]:
    """Set aside what has a class of its own: it can be learned from or tested on, but not both."""
    classes = _count_classes(target, contract, previous)
    single = [label for label, count in classes.items() if count < 2]
    if not single or len(classes) - len(single) < 2:
        return []
    problem = f"holds a class that only one row has: {name_some(single)}"
    fix = "Send two rows or more of a class together."
    return [_Fault("RARE_CLASS", contract.target, target.isin(single).to_numpy(), problem, fix)]


def find_new_labels(target: pd.Series, contract: Contract, previous: Profile | None) -> tuple[NewLabel, ...]:
    """Find the labels that no row before had, where the contract does not name its classes; the most frequent first."""
    known = _known_labels(contract, previous)
    if not known:
        return ()
    counts = target[~target.isin(known)].value_counts()
    return tuple(
        NewLabel(str(label), int(rows), _nearest_spelling(str(label), known)) for label, rows in counts.items()
    )


def _known_labels(contract: Contract, previous: Profile | None) -> list[str]:
    """Name the labels of the rows before and of the contract; [] where there are none, or the contract names all."""
    before = previous.columns.get(contract.target) if previous else None
    if contract.classes is not None or not isinstance(before, Categories):
        return []
    return sorted({*before.counts, *(() if contract.positive is None else (label_text(contract.positive),))})


def _new_classes(target: pd.Series, raw: RawTable, contract: Contract, previous: Profile | None) -> Iterator[Reason]:
    """Note the classes that no row before had: meant, or misspelled, they change what the model tells apart."""
    known = _known_labels(contract, previous)
    places = np.flatnonzero((target.notna() & ~target.isin(known)).to_numpy())
    if known and len(places):
        found = [str(label) for label in pd.unique(target.iloc[places])]
        rows = "1 row" if len(places) == 1 else f"{len(places):,} rows"
        yield Reason(
            "NEW_CLASS",
            f"{contract.target} has a class that no row had before, in {rows}: {_name_spellings(found, known)}",
            "If it is meant, the next version that learns from these rows tells it apart. "
            "If not, name the classes in the contract, so that such rows are set aside: classes: [...].",
            contract.target,
            tuple(raw.lines[places[:ROWS_NAMED]].tolist()),
            len(places),
        )


def _count_classes(target: pd.Series, contract: Contract, previous: Profile | None) -> Counter[str]:
    """Count the rows of each class, those before included; of classes that the contract names, where it does."""
    before = previous.columns.get(contract.target) if previous else None
    counts = Counter(before.counts if isinstance(before, Categories) else {})
    counts += Counter({str(label): int(count) for label, count in target.value_counts().items()})
    if contract.classes is None:
        return counts
    return Counter({label: counts[label] for label in contract.classes if counts[label]})


def _too_many_bad(is_bad: Mask, contract: Contract) -> Iterator[Reason]:
    rows, bad = len(is_bad), int(is_bad.sum())
    allowed = contract.data.max_bad_rows
    if bad > rows * allowed:
        yield Reason(
            "TOO_MANY_BAD_ROWS",
            f"{bad:,} of {rows:,} rows ({bad / rows:.1%}) break the contract, which allows {allowed:.2%}",
            "Correct the rows that the other reasons name, or raise data.max_bad_rows in the contract.",
            count=bad,
        )


def _too_few_good(is_bad: Mask, contract: Contract) -> Reason:
    good = int((~is_bad).sum())
    return Reason(
        "TOO_FEW_ROWS",
        f"there are {good:,} good rows; the contract asks for {contract.data.min_rows:,}",
        "Send more rows in one upload, or lower data.min_rows in the contract.",
        count=good,
    )


def _reason(fault: _Fault, raw: RawTable) -> Reason:
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


def _any(faults: list[_Fault], is_bad: Mask) -> Mask:
    for fault in faults:
        is_bad = is_bad | fault.cells
    return is_bad


def _why(faults: list[_Fault], is_bad: Mask) -> NDArray[np.object_]:
    """Say of each bad row what is wrong with it; rows with the same faults share one text."""
    kinds, texts = np.zeros(int(is_bad.sum()), dtype=np.int64), [""]
    for fault in faults:
        said = f"{_shortened(fault.column)}: {fault.code}"
        found, kinds = np.unique(2 * kinds + fault.cells[is_bad], return_inverse=True)
        texts = [_joined(texts[kind // 2], said) if kind % 2 else texts[kind // 2] for kind in found.tolist()]
    return np.array(texts, dtype=object)[kinds]


def _joined(text: str, said: str) -> str:
    """Add what else is wrong with a row; of much, the first is enough."""
    if text.endswith("…"):
        return text
    return f"{text}; {said if text.count('; ') < FAULTS_NAMED - 1 else '…'}" if text else said
