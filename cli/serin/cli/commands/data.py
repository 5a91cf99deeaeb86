"""What becomes of data, and what does a person decide about it? `upload`, `receipt`, `datasets`, `accept`, `refuse`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from serin.cli.commands.arguments import AsJson, Env, Model
from serin.cli.exits import AnsweredNo
from serin.cli.show import Output
from serin.client import project
from serin.client.project import AskedWrongly

if TYPE_CHECKING:
    from serin.client.datasets import Action

app = typer.Typer()

Held = Annotated[str, typer.Argument(help="the file's name below uploads/<model>/, or the id of its dataset")]
Reason = Annotated[str, typer.Option(help="why, for the history")]


@app.command()
def upload(
    model: Model,
    file: Annotated[Path, typer.Argument(help="a CSV (also .gz) or Parquet file")],
    wait: Annotated[bool, typer.Option("--wait", help="wait, and show each step")] = False,
    timeout: Annotated[float, typer.Option(help="seconds to wait at most")] = 900.0,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Upload data. It is checked, and may start a training. With --wait, exit status 1 where it is not used."""
    from serin.cli.render import tell_steps
    from serin.client.environment import reach
    from serin.client.tables import read_file

    output = Output(as_json=as_json)
    project.here().contracts.load(model)
    content = read_file(file)
    upload = reach(env).model(model).upload(content, name=file.name, wait=False)
    output.say(f"uploaded {upload.size:,} bytes to {upload.key}")
    document = {"key": upload.key, "object_version": upload.object_version}
    if not wait:
        output.say(f"to see what came of it:  serin receipt {model} {file.name}")
        output.document(document)
        return
    output.document({**document, "steps": tell_steps(output, upload.follow(timeout, output.say))})
    if not upload.is_good:
        raise AnsweredNo


@app.command()
def receipt(
    model: Model,
    file: Annotated[str, typer.Argument(help="the file's name below uploads/<model>/")],
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Show the receipt of the latest upload of a file. Exit status 1 where it was not accepted."""
    from serin.cli.render import tell_receipt
    from serin.client.environment import reach

    output, client = Output(as_json=as_json), reach(env).model(model)
    receipt = client.receipt(file)
    tell_receipt(output, receipt)
    if not client.cloud.data.exists(receipt.key):
        output.say("  the uploaded file was deleted since", style="yellow")
    output.document(asdict(receipt))
    if receipt.status not in ("accepted", "duplicate"):
        raise AnsweredNo


@app.command()
def accept(model: Model, upload: Held, reason: Reason = "", env: Env = "local", as_json: AsJson = False) -> None:
    """Let an upload that is held be learned from."""
    _decide("accept", model, upload, reason, env, as_json)


@app.command()
def refuse(model: Model, upload: Held, reason: Reason = "", env: Env = "local", as_json: AsJson = False) -> None:
    """Let an upload that is held never be learned from."""
    _decide("refuse", model, upload, reason, env, as_json)


@app.command()
def datasets(
    model: Model,
    action: Annotated[
        Literal["exclude", "include"] | None, typer.Argument(help="exclude: take an upload back; include: undo that")
    ] = None,
    dataset: Annotated[str, typer.Argument(help="the id of the dataset, or the name of its file")] = "",
    reason: Annotated[str, typer.Option(help="why, for the history; needed to exclude")] = "",
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """List the datasets of a model, or take one back so that nothing learns from it any more."""
    from serin.cli.curation import tell_datasets
    from serin.client.environment import reach

    output = Output(as_json=as_json)
    project.here().contracts.load(model)
    if action is not None:
        if not dataset:
            raise AskedWrongly(f"name a dataset: serin datasets {model} {action} <dataset>; list them without {action}")
        _decide(action, model, dataset, reason, env, as_json)
        return
    records = tell_datasets(output, reach(env).model(model).datasets)
    if not records:
        output.say(f"no data yet; upload some with: serin upload {model} <file>")
    output.document([asdict(record) for record in records])


def _decide(action: Action, model: str, which: str, reason: str, env: str, as_json: bool) -> None:
    """Decide on a dataset in the caller's name, and tell what follows."""
    from serin.cli.curation import tell_decision
    from serin.client.environment import reach

    output, datasets = Output(as_json=as_json), reach(env).model(model).datasets
    output.document(tell_decision(output, datasets.decide(action, which, reason)))
