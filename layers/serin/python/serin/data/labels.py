"""Which classes has a target, and which of them did no row before have?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from serin.contract.model import Contract
from serin.contract.serving_spec import label_text
from serin.data.raw_table import Lines
from serin.data.reasons import ROWS_NAMED, Reason, name_spellings, nearest_spelling
from serin.data.row_faults import Fault
from serin.profile.profile import Categories, Profile

MOST_LABELS = 200_000
MOST_NEW = 1_000


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


@dataclass(slots=True)
class Labels:
    """The labels of the good rows of a table, over all of its parts.

    known: those that rows before had. counts: of each; past MOST_LABELS others are not told apart. new: the first
    labels that are not known, each with its line.
    """

    known: frozenset[str]
    counts: Counter[str] = field(default_factory=Counter)
    new: list[tuple[int, str]] = field(default_factory=list)

    def add(self, target: pd.Series, lines: Lines) -> None:
        """Count the labels of the good rows of a part. lines: of these rows."""
        codes, distinct = pd.factorize(target)
        labels = [*map(str, distinct)]
        for label, count in zip(labels, np.bincount(codes[codes >= 0], minlength=len(labels)).tolist(), strict=True):
            if label in self.counts or len(self.counts) < MOST_LABELS:
                self.counts[label] += count
        if self.known and len(self.new) < MOST_NEW:
            is_new = np.array([*(label not in self.known for label in labels), False])
            first = np.flatnonzero(is_new[codes])[:MOST_NEW].tolist()
            self.new += [(int(lines[place]), labels[codes[place]]) for place in first]

    def unknown(self) -> dict[str, int]:
        """Count the labels that no row before had; the most frequent first."""
        if not self.known:
            return {}
        return {label: rows for label, rows in self.counts.most_common() if label not in self.known}


def find_new_labels(labels: Labels) -> tuple[NewLabel, ...]:
    """Find the labels that no row before had, where the contract does not name its classes; the most frequent first."""
    known = sorted(labels.known)
    return tuple(NewLabel(label, rows, nearest_spelling(label, known)) for label, rows in labels.unknown().items())


def new_classes(labels: Labels, contract: Contract) -> Iterator[Reason]:
    """Note the classes that no row before had: meant, or misspelled, they change what the model tells apart."""
    if new := labels.unknown():
        count = sum(new.values())
        rows = "1 row" if count == 1 else f"{count:,} rows"
        named = [*dict.fromkeys([label for _, label in labels.new] + [*new])]
        yield Reason(
            "NEW_CLASS",
            f"{contract.target} has a class that no row had before, in {rows}: "
            f"{name_spellings(named, sorted(labels.known))}",
            "If it is meant, the next version that learns from these rows tells it apart. "
            "If not, name the classes in the contract, so that such rows are set aside: classes: [...].",
            contract.target,
            tuple(line for line, _ in labels.new[:ROWS_NAMED]),
            count,
        )


def rare_labels(counts: Counter[str], contract: Contract, previous: Profile | None) -> list[str]:
    """Find what has a class of its own: it can be learned from or tested on, but not both. counts: of the good rows."""
    classes = count_classes(counts, contract, previous)
    single = [label for label, count in classes.items() if count < 2]
    return [label for label in single if counts[label]] if len(classes) - len(single) >= 2 else []


def rare_class(target: pd.Series, rare: Collection[str], contract: Contract) -> Fault:
    cells = target.isin(list(rare)).to_numpy()
    fix = "Send two rows or more of a class together."
    values = tuple(str(label) for label in target[cells])
    return Fault("RARE_CLASS", contract.target, cells, "holds a class that only one row has", fix, values)


def count_classes(counts: Counter[str], contract: Contract, previous: Profile | None) -> Counter[str]:
    """Count the rows of each class, those before included; of classes that the contract names, where it does."""
    before = previous.columns.get(contract.target) if previous else None
    total = Counter(before.counts if isinstance(before, Categories) else {}) + counts
    if contract.classes is None:
        return total
    return Counter({label: total[label] for label in contract.classes if total[label]})


def known_labels(contract: Contract, previous: Profile | None) -> list[str]:
    """Name the labels of the rows before and of the contract; [] where there are none, or the contract names all."""
    before = previous.columns.get(contract.target) if previous else None
    if contract.classes is not None or not isinstance(before, Categories):
        return []
    return sorted({*before.counts, *(() if contract.positive is None else (label_text(contract.positive),))})
