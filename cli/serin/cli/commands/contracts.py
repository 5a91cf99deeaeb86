"""How does a contract come to be, and is it right? `init`, `check`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from serin.cli import project
from serin.cli.commands.arguments import AsJson, Model, check_name, read_file
from serin.cli.exits import AnsweredNo
from serin.cli.project import AskedWrongly
from serin.cli.show import Output
from serin.errors import ContractError

app = typer.Typer()


@app.command()
def init(
    model: Model,
    data: Annotated[Path, typer.Option(help="a CSV or Parquet file of examples")],
    target: Annotated[str, typer.Option(help="the column to predict")],
    force: Annotated[bool, typer.Option(help="overwrite a contract that exists")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a contract from a file of examples."""
    from serin.contract.load import parse_contract
    from serin.data.infer import infer_contract

    output = Output(as_json=as_json)
    check_name(model)
    place = project.models_folder() / model / "model.yaml"
    if place.exists() and not force:
        raise AskedWrongly(f"{place} exists already; overwrite it with --force")
    text = infer_contract(read_file(data), data.name, model, target)
    contract = parse_contract(text, str(place))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    output.say(f"wrote {_relative(place)}: {contract.task} of {target} from {len(contract.features)} features")
    sensitive = [name for name, feature in contract.features.items() if feature.sensitive]
    if sensitive:
        output.say(f"marked sensitive, as facts about people: {', '.join(sensitive)}; is that right?", style="yellow")
    output.say("read it and correct it; then:")
    output.say(f"  serin check {model}")
    output.say(f"  serin upload {model} {data} --wait")
    output.document(
        {"model": model, "contract": str(place), "task": contract.task, "features": list(contract.features)}
    )


@app.command()
def check(
    model: Annotated[str | None, typer.Argument(help="a model; all where left out")] = None, as_json: AsJson = False
) -> None:
    """Check contracts, and say how long their releases will take. Exit status 1 where one is wrong."""
    from serin.contract.advice import advise
    from serin.release.forecast import forecast_release
    from serin.release.plan import resolve_plan

    output, contracts = Output(as_json=as_json), project.contracts()
    findings: list[dict[str, Any]] = []
    forecasts: dict[str, str] = {}
    names = [model] if model else contracts.names()
    for name in names:
        try:
            contract = contracts.load(name)
        except ContractError as error:
            for problem in error.problems:
                output.say(str(problem), style="red")
                findings.append({"model": name, **asdict(problem)})
            continue
        output.say(
            f"{name}: valid. {contract.task} of {contract.target}, {len(contract.features)} features", style="green"
        )
        plan = resolve_plan(contract.model_dump(mode="json")["release"], seconds_per_plan_minute=60)
        forecasts[name] = forecast_release(plan, "entities" if contract.entity else "requests")
        output.say(f"  {forecasts[name]}")
        for advice in advise(contract):
            output.say(f"  {advice}", style="yellow")
    if not names:
        output.say("no contract yet; write one with: serin init <model> --data <file> --target <column>")
    output.document({"checked": names, "problems": findings, "releases": forecasts})
    if findings:
        raise AnsweredNo


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
