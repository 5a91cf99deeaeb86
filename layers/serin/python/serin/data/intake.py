"""Is an upload accepted? From its bytes and the contract to a verdict with its reasons. Nothing is read or written."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from traceback import extract_tb

import numpy as np
import pandas as pd

from serin.contract.model import Contract
from serin.data.cells import as_text, is_text
from serin.data.expect import TableFinding, expect
from serin.data.harmless import harmless
from serin.data.labels import NewLabel
from serin.data.read import DEFAULT_LIMITS, ROWS_AT_ONCE, Limits, RawTable, Unreadable, read_table
from serin.data.reasons import Reason
from serin.profile.profile import Categories, Numbers, Profile, profile_columns
from serin.registry.records import ReceiptStatus


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on an upload: accepted or quarantined.

    reasons: why it, or rows of it, were set aside; where it was as a whole, that comes first. notes: what else to know.
    table, profile: its good rows, typed, and their summary; None where it was set aside as a whole. rest: of the same
    rows the columns that the contract does not read, as text; an edit of the contract may read them. new_labels: those
    of its good rows that no row had before, where the contract does not say which there are. rejected_csv: the rows
    that break the contract, as they were, each with its line and why; None where there are none.
    """

    status: ReceiptStatus
    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...] = ()
    rows: int = 0
    good_rows: int = 0
    bad_rows: int = 0
    table: pd.DataFrame | None = None
    rejected_csv: bytes | None = None
    profile: Profile | None = None
    rest: pd.DataFrame | None = None
    new_labels: tuple[NewLabel, ...] = ()


def judge_upload(
    content: bytes, contract: Contract, limits: Limits = DEFAULT_LIMITS, previous: Profile | None = None
) -> Judgement:
    """Judge an upload against the contract. previous: the profile of the rows before it, if any.

    What nothing foresaw is a verdict too, INTERNAL: trying again would end alike.
    """
    try:
        return _judge(content, contract, limits, previous)
    except MemoryError:
        fix = "Send it in several smaller uploads."
        reason = Reason("TOO_LARGE", "judging the table takes more memory than there is", fix)
        return Judgement(ReceiptStatus.QUARANTINED, (reason,))
    except Exception as error:
        return Judgement(ReceiptStatus.QUARANTINED, (_own_fault(error),))


def _judge(content: bytes, contract: Contract, limits: Limits, previous: Profile | None) -> Judgement:
    try:
        raw = read_table(content, limits, encoding=contract.read.encoding, names=contract.read.names or ())
    except Unreadable as error:
        rows = () if error.line is None else (error.line,)
        return Judgement(ReceiptStatus.QUARANTINED, (Reason(error.code, error.message, error.fix, rows=rows),))
    finding = expect(raw, contract, previous)
    bad = int(finding.is_bad.sum())
    verdict = Judgement(
        status=ReceiptStatus.QUARANTINED,
        reasons=(*finding.refusals, *finding.reasons),
        notes=finding.notes,
        rows=len(raw.lines),
        good_rows=len(raw.lines) - bad if finding.table is not None else 0,
        bad_rows=bad,
        rejected_csv=write_rejected(raw, finding) if bad else None,
    )
    if finding.table is None or finding.refusals:
        return verdict
    good = finding.table[~finding.is_bad].reset_index(drop=True)
    return replace(
        verdict,
        status=ReceiptStatus.ACCEPTED,
        table=good,
        profile=profile_table(good, contract),
        rest=_rest(raw, finding, list(good.columns)),
        new_labels=finding.new_labels,
    )


def _rest(raw: RawTable, finding: TableFinding, read: list[str]) -> pd.DataFrame:
    """The cells of the good rows that the contract does not read."""
    kept = raw.frame[~finding.is_bad].reset_index(drop=True)
    return pd.DataFrame({name: as_text(kept[name]) for name in kept.columns if name not in read})


def _own_fault(error: Exception) -> Reason:
    """Say that Serin is at fault, and where. The exception's text is left out: it can hold cells of the table."""
    ours = [frame for frame in extract_tb(error.__traceback__) if "/serin/" in frame.filename]
    place = f"serin/{ours[-1].filename.rpartition('/serin/')[2]}, line {ours[-1].lineno}"
    return Reason(
        "INTERNAL",
        f"judging it met a fault of Serin's own: {type(error).__name__} in {place}; the table may be right",
        "Report this message to whoever runs Serin. The upload is kept; once the fault is mended, upload it again.",
    )


def profile_table(table: pd.DataFrame, contract: Contract) -> Profile:
    """Summarise a typed table. An entity is left out: a profile must not name persons."""
    columns: dict[str, Numbers | Categories] = {}
    for name in map(str, table.columns):  # one by one: as objects, texts take several times their size
        if name in contract.features or name != contract.entity:
            cells = table[name].to_numpy(dtype=object if is_text(table[name]) else np.float64)
            columns |= profile_columns({name: cells}).columns
    return Profile(len(table), columns)


def write_rejected(raw: RawTable, finding: TableFinding) -> bytes:
    """Write the rows that break the contract as they were, each with its line and why; no spreadsheet runs a cell."""
    places, buffer = np.flatnonzero(finding.is_bad), io.BytesIO()
    for start in range(0, len(places), ROWS_AT_ONCE):
        part = places[start : start + ROWS_AT_ONCE]
        rows = raw.frame.iloc[part].map(harmless)
        rows.columns = rows.columns.map(harmless)
        rows.insert(0, "reason", finding.why[start : start + ROWS_AT_ONCE], allow_duplicates=True)
        rows.insert(0, raw.place, raw.lines[part], allow_duplicates=True)
        buffer.write(rows.to_csv(index=False, header=not start, lineterminator="\n").encode())
    return buffer.getvalue()
