"""What is wrong with a table as a whole? A column is missing, too many rows are bad, or too few good.

These are the reasons that need the contract: MISSING_COLUMN, TYPE, TOO_MANY_BAD_ROWS, TOO_FEW_ROWS, ONE_VALUE,
ONE_CLASS, MANY_CLASSES. What cannot be read (BAD_FORMAT, ENCODING, EMPTY, RAGGED, …) is found by `read.py`, single rows
by `row_faults.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

import pandas as pd

from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec
from serin.data.cells import parse_numbers
from serin.data.labels import MOST_LABELS, count_classes
from serin.data.reasons import Reason, nearest
from serin.profile.profile import Numbers, Profile

MAX_CLASSES = 50


def used_columns(contract: Contract) -> dict[str, str]:
    """Name the columns that are read, each with what the contract expects there."""
    expected = {name: f"a feature of type {feature.type}" for name, feature in contract.features.items()}
    expected[contract.target] = "the target"
    for name, role in ((contract.entity, "the entity"), (contract.time, "the time of a row")):
        if name is not None:
            expected.setdefault(name, role)
    return expected


def missing_columns(
    columns: Collection[str], unusable: Mapping[str, str], used: Mapping[str, str], optional: Collection[str] = ()
) -> Iterator[Reason]:
    """Say which columns cannot be read. optional: those that may be absent, where no other is named much like them."""
    spare = [name for name in columns if name not in used]
    for name, role in used.items():
        if name in unusable:
            yield Reason(
                "TYPE",
                f"the column {name} holds {unusable[name]}; the contract expects {role}",
                "Send one number, text, boolean or time in each cell.",
                column=name,
            )
        elif name not in columns:
            near = nearest(name, spare)
            if name in optional and not near:
                continue
            yield Reason(
                "MISSING_COLUMN",
                f"there is no column {name}, {role}" + (f"; there is {near}" if near else ""),
                f"Rename {near} to {name}." if near else f"Add the column {name}, or take it out of the contract.",
                column=name,
            )


def missing_features(columns: Sequence[str], unusable: Mapping[str, str], spec: ServingSpec) -> Iterator[Reason]:
    """Say which features cannot be read; of a table that has none of them, that is each."""
    features = {feature.name: f"a feature of type {feature.type}" for feature in spec.features}
    optional = [feature.name for feature in spec.features if feature.allows_missing]
    others = dict.fromkeys((spec.target, *spec.other_columns), "")
    has_some = not features.keys().isdisjoint(columns)
    reasons = missing_columns(columns, unusable, others | features, optional if has_some else ())
    return (reason for reason in reasons if reason.column in features)


def too_many_bad(bad: int, rows: int, contract: Contract) -> Iterator[Reason]:
    allowed = contract.data.max_bad_rows
    if bad > rows * allowed:
        yield Reason(
            "TOO_MANY_BAD_ROWS",
            f"{bad:,} of {rows:,} rows ({bad / rows:.1%}) break the contract, which allows {allowed:.2%}",
            "Correct the rows that the other reasons name, or raise data.max_bad_rows in the contract.",
            count=bad,
        )


def too_few_good(good: int, contract: Contract) -> Iterator[Reason]:
    if good < contract.data.min_rows:
        yield Reason(
            "TOO_FEW_ROWS",
            f"there are {good:,} good rows; the contract asks for {contract.data.min_rows:,}",
            "Send more rows in one upload, or lower data.min_rows in the contract.",
            count=good,
        )


def one_value(ends: Collection[float], contract: Contract, previous: Profile | None) -> Iterator[Reason]:
    """Say that a target of numbers cannot be learned. ends: the least and the most of the good rows' values."""
    name = contract.target
    before = previous.columns.get(name) if previous else None
    all_ends = {*ends, *((before.minimum, before.maximum) if isinstance(before, Numbers) else ())} - {None}
    if ends and len(all_ends) == 1:
        message = f"the target {name} is {next(iter(ends)):g} in every row; nothing can be learned"
        yield Reason("ONE_VALUE", message, "Send rows with different values of it.", name)


def unlearnable_classes(counts: Counter[str], contract: Contract, previous: Profile | None) -> Iterator[Reason]:
    """Say why classes cannot be learned from the good rows and the previous ones together. counts: of the good rows."""
    name = contract.target
    if not counts:
        return
    classes = count_classes(counts, contract, previous)
    if len(classes) > MAX_CLASSES:
        texts = pd.Series([*counts], dtype="str")
        are_numbers = not parse_numbers(texts, contract.read.of(contract.target)).wrong.any()
        fix = "Predict a number with `task: regression`." if are_numbers else "Choose a target with fewer classes."
        count = f"{len(classes):,}" if len(counts) < MOST_LABELS else f"{MOST_LABELS:,} or more"
        message = f"the target {name} has {count} classes; at most {MAX_CLASSES} can be told apart"
        yield Reason("MANY_CLASSES", message, fix, name, count=len(classes))
    elif len(classes) == 1:
        message = f"the target {name} is {next(iter(classes))!r} in every row; nothing can be learned"
        yield Reason("ONE_CLASS", message, "Send rows of at least two classes together.", name)
