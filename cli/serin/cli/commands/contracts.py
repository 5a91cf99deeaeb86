"""How does a contract come to be, and is it right? `init`, `check`"""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from serin.cli.commands.arguments import AsJson, Dates, Decimal, Encoding, Model, Thousands
from serin.cli.exits import AnsweredNo
from serin.cli.show import Output
from serin.client import project
from serin.client.project import check_name
from serin.errors import ContractError

app = typer.Typer()


@app.command()
def init(
    model: Model,
    data: Annotated[Path, typer.Option(help="a CSV or Parquet file of examples")],
    target: Annotated[str, typer.Option(help="the column to predict")],
    task: Annotated[str | None, typer.Option(help="classification or regression")] = None,
    entity: Annotated[str | None, typer.Option(help="the column that says whom a row is about")] = None,
    time: Annotated[str | None, typer.Option(help="the column with the time of a row")] = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    dates: Dates = None,
    encoding: Encoding = None,
    names: Annotated[str, typer.Option(help="the columns, where the first row is data: a,b,c")] = "",
    names_from: Annotated[Path | None, typer.Option(help="a file whose first row names them")] = None,
    force: Annotated[bool, typer.Option(help="overwrite a contract that exists")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a contract from a file of examples."""
    from serin.client.contracts import write_contract
    from serin.client.tables import read_file

    output = Output(as_json=as_json)
    place = project.here()
    told: dict[str, Any] = {
        "task": task,
        "entity": entity,
        "time": time,
        "decimal": decimal,
        "thousands": thousands,
        "dates": dates,
    }
    told |= {"encoding": encoding, "names": _names(names, names_from)}
    written = write_contract(place, check_name(model), read_file(data), data.name, target, force=force, told=told)
    contract = written.contract
    for sentence in written.seen:
        output.say(f"seen: {sentence}")
    output.say(f"wrote {_relative(written.file)}: {contract.task} of {target} from {len(contract.features)} features")
    sensitive = [name for name, feature in contract.features.items() if feature.sensitive]
    if sensitive:
        output.say(f"marked sensitive, as facts about people: {', '.join(sensitive)}; is that right?", style="yellow")
    output.say("read it and correct it; then:")
    output.say(f"  serin check {model}")
    output.say(f"  serin upload {model} {data} --wait")
    output.document(
        {"model": model, "contract": str(written.file), "task": contract.task, "features": list(contract.features)}
        | {"seen": list(written.seen)}
    )


def _names(names: str, file: Path | None) -> tuple[str, ...]:
    """Read the names of columns, as one line of CSV. Raises AskedWrongly."""
    from serin.client.tables import read_file

    line = names or (read_file(file).decode("utf-8-sig", errors="replace").split("\n")[0] if file else "")
    return tuple(name.strip() for name in next(csv.reader([line]), []) if name.strip())


@app.command()
def check(
    model: Annotated[str | None, typer.Argument(help="a model; all where left out")] = None, as_json: AsJson = False
) -> None:
    """Check contracts, and say how long their releases will take. Exit status 1 where one is wrong."""
    from serin.client.contracts import check_contract

    output, place = Output(as_json=as_json), project.here()
    findings: list[dict[str, Any]] = []
    forecasts: dict[str, str] = {}
    names = [model] if model else place.contracts.names()
    for name in names:
        try:
            checked = check_contract(place, name)
        except ContractError as error:
            for problem in error.problems:
                output.say(str(problem), style="red")
                findings.append({"model": name, **asdict(problem)})
            continue
        contract, forecasts[name] = checked.contract, checked.forecast
        facts = f"{contract.task} of {contract.target}, {len(contract.features)} features"
        output.say(f"{name}: valid. {facts}", style="green")
        output.say(f"  {checked.forecast}")
        for advice in checked.advice:
            output.say(f"  {advice}", style="yellow")
    if not names:
        output.say("no contract yet; write one with: serin init <model> --data <file> --target <column>")
    output.document({"checked": names, "problems": findings, "releases": forecasts})
    if findings:
        raise AnsweredNo


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
