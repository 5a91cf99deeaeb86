"""How is an upload judged at no risk to the process that answers for it?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serin.contract.model import Contract
from serin.data.apart import Bounds, run_apart
from serin.data.intake import Judgement, judge_file, refused
from serin.data.labels import NewLabel
from serin.data.limits import DEFAULT_LIMITS, Limits, Unreadable
from serin.data.reasons import Reason
from serin.profile.profile import Profile
from serin.registry.records import ReceiptStatus


@dataclass(frozen=True, slots=True)
class JudgeApart:
    """Judges files as `judge_file` does, in another process."""

    bounds: Bounds
    limits: Limits = DEFAULT_LIMITS

    def __call__(self, file: Path, folder: Path, contract: Contract, previous: Profile | None = None) -> Judgement:
        request = {
            "file": str(file),
            "folder": str(folder),
            "contract": contract.model_dump_json(),
            "previous": previous and previous.to_json().decode(),
            "limits": asdict(self.limits),
        }
        try:
            return _from_dict(run_apart(judge_for_parent, request, self.bounds))
        except Unreadable as error:
            return refused(error)


def judge_for_parent(
    file: str, folder: str, contract: str, previous: str | None, limits: dict[str, int]
) -> dict[str, Any]:
    """Judge a file in the child."""
    judgement = judge_file(
        Path(file),
        Path(folder),
        Contract.model_validate_json(contract),
        None if previous is None else Profile.from_json(previous.encode()),
        Limits(**limits),
    )
    return {**asdict(judgement), "profile": judgement.profile and judgement.profile.to_json().decode()}


def _from_dict(data: dict[str, Any]) -> Judgement:
    findings = {name: tuple(map(_reason, data[name])) for name in ("reasons", "notes")}
    profile = data["profile"] and Profile.from_json(data["profile"].encode())
    new_labels = tuple(NewLabel(**label) for label in data["new_labels"])
    others = {"new_labels": new_labels, "labels": tuple(data["labels"]), "profile": profile}
    return Judgement(**{**data, **findings, **others, "status": ReceiptStatus(data["status"])})


def _reason(data: dict[str, Any]) -> Reason:
    return Reason(**{**data, "rows": tuple(data["rows"])})
