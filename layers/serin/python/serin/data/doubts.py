"""Must a person look at an upload before it is learned from? It keeps to the contract, and yet may be wrong.

What cannot be a table's own doing is doubted: labels that its features no longer tell, labels that say the opposite of
what was learned, labels that nobody had before, rows that were there already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import pandas as pd

from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.data.labels import NewLabel, spelled_alike
from serin.data.learnable import probe_upload
from serin.data.reasons import Reason
from serin.data.ridge import Columns
from serin.data.row_keys import Repeats
from serin.data.storage import as_columns

MOST_REPEATED = 0.4  # of its rows; a table in which each comes twice has a half
_DECIDE = "Accept it if it is right (serin accept); else refuse it (serin refuse), and send it corrected."


def doubt_upload(
    rows: int,
    some: pd.DataFrame,
    before: Columns | None,
    contract: Contract,
    *,
    labels: Collection[str],
    repeats: Repeats,
    new_labels: Sequence[NewLabel],
) -> Iterator[Reason]:
    """Say what speaks against learning from an upload.

    some: those of its rows that `choose_rows` chooses, typed; before: the last rows of the datasets before; labels: of
    all its rows, each once.
    """
    yield from _doubt_repeats(rows, repeats)
    yield from _doubt_labels(rows, new_labels, contract)
    yield from _doubt_spellings(labels, contract)
    if before is not None:
        yield from _doubt_learnability(some, before, contract)


def _doubt_repeats(rows: int, repeats: Repeats) -> Iterator[Reason]:
    if repeats.unnatural > rows * MOST_REPEATED:
        yield Reason(
            "REPEATS",
            f"{repeats.count:,} of {rows:,} rows were there already, or stand twice in it; "
            f"by itself this table would repeat about {repeats.count - repeats.unnatural:,}",
            _DECIDE,
            count=repeats.count,
        )


def _doubt_labels(rows: int, new_labels: Sequence[NewLabel], contract: Contract) -> Iterator[Reason]:
    new = sum(label.rows for label in new_labels)
    misspelled = [label for label in new_labels if label.near]
    if not misspelled and new <= rows * contract.data.max_bad_rows:
        return
    shown = misspelled or list(new_labels)
    names = ", ".join(f"{label.label!r}" + (f" (like {label.near!r})" if label.near else "") for label in shown[:5])
    yield Reason(
        "NEW_CLASS",
        f"{new:,} of {rows:,} rows have a {contract.target} that no row had before: {names}",
        f"{_DECIDE} To refuse such rows by themselves, name the classes in the contract: classes: [...].",
        column=contract.target,
        count=new,
    )


def _doubt_spellings(labels: Collection[str], contract: Contract) -> Iterator[Reason]:
    alike = spelled_alike(labels)
    if alike:
        named = "; ".join(" and ".join(map(repr, group)) for group in alike[:3])
        yield Reason(
            "SPELLINGS",
            f"its {contract.target} has labels that look like one class: {named}",
            f"{_DECIDE} One spelling for each class is what a model can learn from.",
            column=contract.target,
            count=sum(map(len, alike)),
        )


def _doubt_learnability(some: pd.DataFrame, before: Columns, contract: Contract) -> Iterator[Reason]:
    used = [*contract.features, contract.target]
    probe = probe_upload(
        as_columns(some, *used),
        {name: before[name] for name in used if name in before},
        target=contract.target,
        is_values=contract.task is Task.REGRESSION,
    )
    if probe is None:
        return
    if probe.is_opposite:
        yield Reason(
            "OPPOSITE",
            f"its {contract.target} says the opposite of what was learned before: on a scale from 1 (foretold rightly) "
            f"to -1 (always wrongly) it is {probe.told.agreement:.2f}, and {probe.told_before.agreement:.2f} is usual. "
            "Are labels swapped, or signs?",
            _DECIDE,
            column=contract.target,
        )
    elif probe.is_noise:
        yield Reason(
            "NOISE",
            f"its {contract.target} cannot be learned from its features as before: {min(probe.lost, 1.0):.0%} of what "
            f"they told is lost, measured on blocks of {probe.rows:,} rows. "
            "Are labels mixed up, or rows joined wrongly?",
            _DECIDE,
            column=contract.target,
        )
