"""Which classes has a target, and which of them did no row before have?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from serin.contract.model import Contract
from serin.contract.serving_spec import label_text
from serin.data.read import RawTable, name_some
from serin.data.reasons import ROWS_NAMED, Reason, name_spellings, nearest_spelling
from serin.data.row_faults import Fault
from serin.profile.profile import Categories, Profile


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label that no row before had. rows: how many have it; near: the known one that it may be meant to be."""

    label: str
    rows: int
    near: str | None


def spelled_alike(labels: Collection[str]) -> list[list[str]]:
    """Find the labels that differ only in the case of their letters, or in what separates their words."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(re.sub(r"[\s_-]+", " ", label.casefold()).strip(), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def find_new_labels(target: pd.Series, contract: Contract, previous: Profile | None) -> tuple[NewLabel, ...]:
    """Find the labels that no row before had, where the contract does not name its classes; the most frequent first."""
    known = known_labels(contract, previous)
    if not known:
        return ()
    counts = target[~target.isin(known)].value_counts()
    return tuple(NewLabel(str(label), int(rows), nearest_spelling(str(label), known)) for label, rows in counts.items())


def new_classes(target: pd.Series, raw: RawTable, contract: Contract, previous: Profile | None) -> Iterator[Reason]:
    """Note the classes that no row before had: meant, or misspelled, they change what the model tells apart."""
    known = known_labels(contract, previous)
    places = np.flatnonzero((target.notna() & ~target.isin(known)).to_numpy())
    if known and len(places):
        new = [str(label) for label in pd.unique(target.iloc[places])]
        rows = "1 row" if len(places) == 1 else f"{len(places):,} rows"
        yield Reason(
            "NEW_CLASS",
            f"{contract.target} has a class that no row had before, in {rows}: {name_spellings(new, known)}",
            "If it is meant, the next version that learns from these rows tells it apart. "
            "If not, name the classes in the contract, so that such rows are set aside: classes: [...].",
            contract.target,
            tuple(raw.lines[places[:ROWS_NAMED]].tolist()),
            len(places),
        )


def rare_classes(target: pd.Series, contract: Contract, previous: Profile | None) -> list[Fault]:
    """Set aside what has a class of its own: it can be learned from or tested on, but not both."""
    classes = count_classes(target, contract, previous)
    single = [label for label, count in classes.items() if count < 2]
    if not single or len(classes) - len(single) < 2:
        return []
    problem = f"holds a class that only one row has: {name_some(single)}"
    fix = "Send two rows or more of a class together."
    return [Fault("RARE_CLASS", contract.target, target.isin(single).to_numpy(), problem, fix)]


def count_classes(target: pd.Series, contract: Contract, previous: Profile | None) -> Counter[str]:
    """Count the rows of each class, those before included; of classes that the contract names, where it does."""
    before = previous.columns.get(contract.target) if previous else None
    counts = Counter(before.counts if isinstance(before, Categories) else {})
    counts += Counter({str(label): int(count) for label, count in target.value_counts().items()})
    if contract.classes is None:
        return counts
    return Counter({label: counts[label] for label in contract.classes if counts[label]})


def known_labels(contract: Contract, previous: Profile | None) -> list[str]:
    """Name the labels of the rows before and of the contract; [] where there are none, or the contract names all."""
    before = previous.columns.get(contract.target) if previous else None
    if contract.classes is not None or not isinstance(before, Categories):
        return []
    return sorted({*before.counts, *(() if contract.positive is None else (label_text(contract.positive),))})
