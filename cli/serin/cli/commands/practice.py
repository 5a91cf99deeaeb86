"""How is all of it tried out? `example`, `demo`, `drill`"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from serin.cli.commands.arguments import AsJson, Model, Port
from serin.cli.exits import AnsweredNo
from serin.cli.show import Output
from serin.client.project import AskedWrongly, check_name

app = typer.Typer()

DRILLED_LOANS = 2500


class ExampleName(StrEnum):
    LOANS = "loans"
    TUMOURS = "tumours"
    DIABETES = "diabetes"


@app.command()
def example(
    name: Annotated[ExampleName, typer.Argument(help="loans is generated, at any size; the other two are real")],
    file: Annotated[Path, typer.Argument(help="the CSV to write")],
    rows: Annotated[int, typer.Option(help="how many loans", min=1, max=5_000_000)] = 3000,
    skip: Annotated[
        int, typer.Option(help="how many applicants to leave out first, for a table of later ones", min=0)
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Write the table of an example model as a CSV."""
    from serin.cli.examples import tables

    output = Output(as_json=as_json)
    frame = tables.example(name, rows=rows, first=skip)
    try:
        file.write_bytes(tables.to_csv(frame))
    except OSError as error:
        raise AskedWrongly(f"{file} cannot be written: {error.strerror}") from error
    output.say(f"wrote {len(frame):,} rows of {name.value} to {file}")
    output.document({"example": name.value, "file": str(file), "rows": len(frame), "columns": list(frame.columns)})


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="leave the twin running afterwards")] = False,
    port: Port = 0,
    as_json: AsJson = False,
) -> None:
    """Show the whole loop on a twin of its own. From an upload to a release that is rolled back, told as a story."""
    from serin.cli.demo import run_demo

    run_demo(Output(as_json=as_json), port=port, keep=keep)


@app.command()
def drill(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Option(help="rows to train on and to ask; the examples loans, tumours and diabetes have some"),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="leave the twin running afterwards")] = False,
    port: Port = 0,
    as_json: AsJson = False,
) -> None:
    """Break releases on purpose, to see each end as it must. On a twin of its own; exit status 1 where one does not."""
    from serin.cli.drill import run_drill
    from serin.cli.examples import tables
    from serin.client.tables import read_file

    check_name(model)
    if data is None and model not in list(ExampleName):
        raise AskedWrongly(f"there are no rows of {model} here; give some with --data <file>")
    table = read_file(data) if data else tables.to_csv(tables.example(model, rows=DRILLED_LOANS))
    if not run_drill(Output(as_json=as_json), model, table, port=port, keep=keep):
        raise AnsweredNo
