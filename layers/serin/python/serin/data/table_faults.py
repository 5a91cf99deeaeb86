"""What is wrong with a table as a whole? A column is missing, too many rows are bad, or too few good.

These are the reasons that need the contract: MISSING_COLUMN, TYPE, TOO_MANY_BAD_ROWS, TOO_FEW_ROWS, ONE_VALUE,
ONE_CLASS, MANY_CLASSES. What cannot be read (BAD_FORMAT, ENCODING, EMPTY, RAGGED, …) is found by `read.py`, single rows
by `row_faults.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import pandas as pd

from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec
from serin.data.cells import Mask, as_text, parse_numbers
from serin.data.labels import count_classes
from serin.data.read import RawTable
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


def missing_columns(raw: RawTable, used: Mapping[str, str], optional: Collection[str] = ()) -> Iterator[Reason]:
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


def missing_features(raw: RawTable, spec: ServingSpec) -> Iterator[Reason]:
    """Say which features cannot be read; of a table that has none of them, that is each."""
    features = {feature.name: f"a feature of type {feature.type}" for feature in spec.features}
    optional = [feature.name for feature in spec.features if feature.allows_missing]
    has_some = not raw.frame.columns.intersection(list(features)).empty
    others = dict.fromkeys((spec.target, *spec.other_columns), "")
    reasons = missing_columns(raw, others | features, optional if has_some else ())
    return (reason for reason in reasons if reason.column in features)


def too_many_bad(is_bad: Mask, contract: Contract) -> Iterator[Reason]:
    rows, bad = len(is_bad), int(is_bad.sum())
    allowed = contract.data.max_bad_rows
    if bad > rows * allowed:
        yield Reason(
            "TOO_MANY_BAD_ROWS",
            f"{bad:,} of {rows:,} rows ({bad / rows:.1%}) break the contract, which allows {allowed:.2%}",
            "Correct the rows that the other reasons name, or raise data.max_bad_rows in the contract.",
            count=bad,
        )


def too_few_good(is_bad: Mask, contract: Contract) -> Reason:
    good = int((~is_bad).sum())
    return Reason(
        "TOO_FEW_ROWS",
        f"there are {good:,} good rows; the contract asks for {contract.data.min_rows:,}",
        "Send more rows in one upload, or lower data.min_rows in the contract.",
        count=good,
    )


def unlearnable_target(target: pd.Series, contract: Contract, previous: Profile | None) -> Iterator[Reason]:
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
    classes = count_classes(target, contract, previous)
    if len(classes) > MAX_CLASSES:
        are_numbers = not parse_numbers(as_text(target), contract.read.of(contract.target)).wrong.any()
        fix = "Predict a number with `task: regression`." if are_numbers else "Choose a target with fewer classes."
        message = f"the target {name} has {len(classes):,} classes; at most {MAX_CLASSES} can be told apart"
        yield Reason("MANY_CLASSES", message, fix, name, count=len(classes))
    elif len(classes) == 1:
        message = f"the target {name} is {next(iter(classes))!r} in every row; nothing can be learned"
        yield Reason("ONE_CLASS", message, "Send rows of at least two classes together.", name)
