"""How does a contract come to be, and is one right?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin.client.project import AskedWrongly, Project
from serin.contract.advice import advise
from serin.contract.load import parse_contract
from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.release.forecast import forecast_release
from serin.release.plan import resolve_plan


@dataclass(frozen=True, slots=True)
class Written:
    """A contract, and where it was written. seen: in the table, what a person should know; a sentence each."""

    file: Path
    contract: Contract
    seen: tuple[str, ...]


def write_contract(
    project: Project,
    model: str,
    content: bytes,
    name: str,
    target: str,
    *,
    force: bool = False,
    told: Mapping[str, Any] | None = None,
) -> Written:
    """Infer a contract from a table and write it. name: of the table. force: overwrite one that exists.

    told: what is known of the table beforehand, as `serin.data.infer.Told`.

    Raises AskedWrongly where there is one already, and as `infer_contract`.
    """
    from serin.data.infer import Told, infer_contract

    file = project.models_folder / model / "model.yaml"
    if file.exists() and not force:
        raise AskedWrongly(f"{file} exists already; overwrite it with --force, in Python force=True")
    known = {key: value for key, value in (told or {}).items() if value is not None}
    if "task" in known and known["task"] not in [*Task]:
        raise AskedWrongly(f"{known['task']!r} is no task; there are {' and '.join(Task)}")
    known |= {"task": Task(known["task"])} if "task" in known else {}
    inferred = infer_contract(content, name, model, target, told=Told(**known))
    contract = parse_contract(inferred.text, str(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(inferred.text)
    return Written(file, contract, inferred.seen)


@dataclass(frozen=True, slots=True)
class Checked:
    """A contract that is valid. forecast: how long its releases take; advice: what one might do better."""

    contract: Contract
    forecast: str
    advice: Sequence[str]


def check_contract(project: Project, model: str) -> Checked:
    """Check a contract. Raises ContractError where it is wrong, NotFound where there is none."""
    contract = project.contracts.load(model)
    plan = resolve_plan(contract.model_dump(mode="json")["release"], seconds_per_plan_minute=60)
    forecast = forecast_release(plan, "entities" if contract.entity else "requests")
    return Checked(contract, forecast, [str(advice) for advice in advise(contract)])
