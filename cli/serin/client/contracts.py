"""How does a contract come to be, and is one right?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serin.client.project import AskedWrongly, Project
from serin.contract.advice import advise
from serin.contract.load import parse_contract
from serin.contract.model import Contract
from serin.release.forecast import forecast_release
from serin.release.plan import resolve_plan


@dataclass(frozen=True, slots=True)
class Written:
    """A contract, and where it was written."""

    file: Path
    contract: Contract


def write_contract(
    project: Project, model: str, content: bytes, name: str, target: str, *, force: bool = False
) -> Written:
    """Infer a contract from a table and write it. name: of the table. force: overwrite one that exists.

    Raises AskedWrongly where there is one already, and as `infer_contract`.
    """
    from serin.data.infer import infer_contract

    file = project.models_folder / model / "model.yaml"
    if file.exists() and not force:
        raise AskedWrongly(f"{file} exists already; overwrite it with --force, in Python force=True")
    text = infer_contract(content, name, model, target)
    contract = parse_contract(text, str(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return Written(file, contract)


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
