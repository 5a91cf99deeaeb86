"""Judges a table at hand, as an upload is judged, and shows all that came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec
from serin.data.cells import Mask
from serin.data.expect import Expectation, FeatureExpectation
from serin.data.intake import Judgement, judge_file
from serin.data.labels import NewLabel
from serin.data.limits import DEFAULT_LIMITS, Limits
from serin.data.raw_table import RawTable
from serin.data.reasons import Reason
from serin.data.row_keys import Beside, Earlier, HashedFrame, Repeats, place_rows
from serin.data.storage import load_table
from serin.data.write import REJECTED, REST, TABLE
from serin.profile.profile import Profile


@dataclass(frozen=True)
class Judged(Judgement):
    """A verdict, and what the files hold. table: the good rows, typed; None where the table is refused."""

    table: pd.DataFrame | None = None
    rest: pd.DataFrame | None = None
    rejected_csv: bytes | None = None


def judge_upload(
    content: bytes, contract: Contract, limits: Limits = DEFAULT_LIMITS, previous: Profile | None = None
) -> Judged:
    """Judge an upload."""
    with TemporaryDirectory() as place:
        file, folder = Path(place) / "upload", Path(place) / "kept"
        file.write_bytes(content)
        verdict = judge_file(file, folder, contract, previous, limits)

        def read(name: str) -> pd.DataFrame | None:
            is_kept = verdict.content is not None and (folder / name).exists()
            return load_table((folder / name).read_bytes()) if is_kept else None

        rejected = folder / REJECTED
        said = {each.name: getattr(verdict, each.name) for each in fields(verdict)}
        set_aside = rejected.read_bytes() if rejected.exists() else None
        return Judged(**said, table=read(TABLE), rest=read(REST), rejected_csv=set_aside)


@dataclass(frozen=True)
class Found:
    """What became of a table. is_bad: which rows break the contract; why: of each of these."""

    table: pd.DataFrame | None
    is_bad: Mask
    why: NDArray[np.object_]
    refusals: tuple[Reason, ...]
    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    new_labels: tuple[NewLabel, ...] = ()


def expect(raw: RawTable, contract: Contract, previous: Profile | None = None, rare: tuple[str, ...] = ()) -> Found:
    """Look at a table in one part."""
    expectation = Expectation(contract, previous, rare)
    part = expectation.look(raw)
    outcome = expectation.conclude()
    if outcome.rare:
        return expect(raw, contract, previous, outcome.rare)
    said = outcome.refusals, outcome.reasons, outcome.notes, outcome.new_labels
    if part is None or any(refusal.code == "MISSING_COLUMN" for refusal in outcome.refusals):
        return Found(None, np.zeros(len(raw.lines), dtype=bool), np.empty(0, dtype=object), *said)
    return Found(part.table, part.is_bad, part.why, *said)


def expect_features(raw: RawTable, spec: ServingSpec) -> Found:
    """Look at rows that are to be answered, in one part."""
    expectation = FeatureExpectation(spec)
    part = expectation.look(raw)
    nothing = np.zeros(len(raw.lines), dtype=bool), np.empty(0, dtype=object)
    table, is_bad, why = (None, *nothing) if part is None else (part.table, part.is_bad, part.why)
    return Found(table, is_bad, why, expectation.refusals, expectation.reasons, ())


def place(
    table: pd.DataFrame, contract: Contract, earlier: Iterable[tuple[Earlier, bool]] = ()
) -> tuple[Beside, Repeats]:
    """Place the rows of a table at hand."""
    return place_rows(HashedFrame.of(table, contract), contract, earlier)
