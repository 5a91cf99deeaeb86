"""Is an upload accepted? From its file and the contract to a verdict with its reasons, and files of what is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from errno import EFBIG, ENOSPC
from pathlib import Path
from traceback import extract_tb

from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.contract.notation import OWN
from serin.data.expect import Expectation, Outcome
from serin.data.labels import NewLabel
from serin.data.limits import DEFAULT_LIMITS, Limits, Unreadable
from serin.data.read import read_ahead, read_parts
from serin.data.reasons import Reason
from serin.data.write import TableWriter, Written
from serin.profile.profile import Profile
from serin.registry.records import ReceiptStatus

Judge = Callable[[Path, Path, Contract, "Profile | None"], "Judgement"]
"""Judges the file of an upload, writes what is kept of it into a folder, given the profile of the rows before it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on an upload: accepted or quarantined.

    reasons: why it, or rows of it, were set aside; where it was as a whole, that comes first. notes: what else to know.
    new_labels: those of its good rows that no row had before, where the contract does not say which there are. labels:
    of its good rows, each once. content: tells its good rows from any others; profile: their summary; both None where
    it was set aside as a whole.
    """

    status: ReceiptStatus
    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...] = ()
    rows: int = 0
    good_rows: int = 0
    bad_rows: int = 0
    new_labels: tuple[NewLabel, ...] = ()
    labels: tuple[str, ...] = ()
    content: str | None = None
    profile: Profile | None = None


def judge_file(
    file: Path, folder: Path, contract: Contract, previous: Profile | None = None, limits: Limits = DEFAULT_LIMITS
) -> Judgement:
    """Judge an upload against the contract, and write what is kept of it into a new folder (serin/data/write.py).

    previous: the profile of the rows before it, if any. What nothing foresaw is a verdict too, INTERNAL: trying again
    would end alike.
    """
    try:
        outcome, labels, written = _look(file, folder, contract, previous, limits)
        if outcome.rare:
            shutil.rmtree(folder)
            outcome, labels, written = _look(file, folder, contract, previous, limits, rare=outcome.rare)
    except Unreadable as error:
        return refused(error)
    except MemoryError:
        return refused(_too_large("memory"))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (EFBIG, ENOSPC):
            return refused(_too_large("disk"))
        return Judgement(ReceiptStatus.QUARANTINED, (_own_fault(error),))
    verdict = Judgement(
        status=ReceiptStatus.QUARANTINED,
        reasons=(*outcome.refusals, *outcome.reasons),
        notes=outcome.notes,
        rows=outcome.rows,
        good_rows=outcome.good_rows,
        bad_rows=outcome.bad_rows,
    )
    if written is None:
        return verdict
    return replace(
        verdict,
        status=ReceiptStatus.ACCEPTED,
        new_labels=outcome.new_labels,
        labels=labels,
        content=written.content,
        profile=written.profile,
    )


def refused(error: Unreadable) -> Judgement:
    """The verdict on what cannot be read."""
    rows = () if error.line is None else (error.line,)
    return Judgement(ReceiptStatus.QUARANTINED, (Reason(error.code, error.message, error.fix, rows=rows),))


def _too_large(what: str) -> Unreadable:
    fix = "Send it in several smaller uploads."
    return Unreadable("TOO_LARGE", f"judging the table takes more {what} than there is", fix=fix)


def _look(
    file: Path,
    folder: Path,
    contract: Contract,
    previous: Profile | None,
    limits: Limits,
    rare: tuple[str, ...] = (),
) -> tuple[Outcome, tuple[str, ...], Written | None]:
    """Look at all of a file once."""
    folder.mkdir(parents=True)
    expectation = Expectation(contract, previous, rare)
    parts = read_parts(
        lambda: file.open("rb"),
        limits,
        encoding=contract.read.encoding,
        names=contract.read.names or (),
        numbers=_plain_numbers(contract),
    )
    with TableWriter(folder, contract) as writer:
        for raw in read_ahead(parts):
            if (finding := expectation.look(raw)) is not None:
                writer.add(raw, finding)
        outcome = expectation.conclude()
        written = writer.close(outcome, {*(expectation.unnamed or ()), *expectation.unusable})
    return outcome, tuple(map(str, expectation.labels.counts)), written


def _plain_numbers(contract: Contract) -> set[str]:
    """The columns of numbers that are written as Serin writes them, but for what says that nothing is known."""
    numbers = {name for name, feature in contract.features.items() if feature.type in ("number", "integer")}
    if contract.task is Task.REGRESSION:
        numbers.add(contract.target)
    return {name for name in numbers if replace(contract.read.of(name), missing=(), dates=None) == OWN}


def _own_fault(error: Exception) -> Reason:
    """Say that Serin is at fault, and where. The exception's text is left out: it can hold cells of the table."""
    ours = [frame for frame in extract_tb(error.__traceback__) if "/serin/" in frame.filename]
    place = f"serin/{ours[-1].filename.rpartition('/serin/')[2]}, line {ours[-1].lineno}"
    return Reason(
        "INTERNAL",
        f"judging it met a fault of Serin's own: {type(error).__name__} in {place}; the table may be right",
        "Report this message to whoever runs Serin. The upload is kept; once the fault is mended, upload it again.",
    )
