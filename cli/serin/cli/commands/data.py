"""What becomes of data, and what does a person decide about it? `upload`, `receipt`, `datasets`, `accept`, `refuse`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from serin.cli import project
from serin.cli.commands.arguments import AsJson, Env, Model, read_file
from serin.cli.exits import AnsweredNo
from serin.cli.project import AskedWrongly
from serin.cli.show import Output

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
    from serin.cli.follow import Follower, ended_badly
    from serin.cli.reach import reach
    from serin.cli.render import tell_steps

    output = Output(as_json=as_json)
    project.contracts().load(model)
    content = read_file(file)
    there = reach(env)
    cloud, key = there.cloud, f"uploads/{model}/{file.name}"
    version = cloud.data.put(key, content, by=there.caller)
    output.say(f"uploaded {len(content):,} bytes to {key}")
    if not wait:
        output.say(f"to see what came of it:  serin receipt {model} {file.name}")
        output.document({"key": key, "object_version": version})
        return
    steps = tell_steps(output, Follower(cloud, timeout, output.say).upload(model, key, version))
    output.document({"key": key, "object_version": version, "steps": steps})
    if steps[0]["status"] not in ("accepted", "duplicate") or ended_badly(steps[-1]):
        raise AnsweredNo


@app.command()
def receipt(
    model: Model,
    file: Annotated[str, typer.Argument(help="the file's name below uploads/<model>/")],
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Show the receipt of the latest upload of a file. Exit status 1 where it was not accepted."""
    from serin.cli.reach import reach
    from serin.cli.render import tell_receipt
    from serin.registry.receipts import latest_receipt

    output, data = Output(as_json=as_json), reach(env).cloud.data
    folder = f"uploads/{model}/"
    names = (file.removeprefix(folder), Path(file).name)  # as it is stored, or a path here that was uploaded from
    key = next((folder + name for name in names if any(data.list_versions(folder + name))), folder + names[-1])
    found = latest_receipt(data, model, key)
    tell_receipt(output, found)
    if not data.exists(key):
        output.say("  the uploaded file was deleted since", style="yellow")
    output.document(asdict(found))
    if found.status not in ("accepted", "duplicate"):
        raise AnsweredNo


@app.command()
def accept(model: Model, upload: Held, reason: Reason = "", env: Env = "local", as_json: AsJson = False) -> None:
    """Let an upload that is held be learned from."""
    _curate("accept", model, upload, reason, env, as_json)


@app.command()
def refuse(model: Model, upload: Held, reason: Reason = "", env: Env = "local", as_json: AsJson = False) -> None:
    """Let an upload that is held never be learned from."""
    _curate("refuse", model, upload, reason, env, as_json)


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
    from serin.cli.reach import reach

    output = Output(as_json=as_json)
    project.contracts().load(model)
    if action is not None:
        if not dataset:
            raise AskedWrongly(f"name a dataset: serin datasets {model} {action} <dataset>; list them without {action}")
        _curate(action, model, dataset, reason, env, as_json)
        return
    found = tell_datasets(output, reach(env), model)
    if not found:
        output.say(f"no data yet; upload some with: serin upload {model} <file>")
    output.document([asdict(item) for item in found])


def _curate(
    action: Literal["accept", "refuse", "exclude", "include"],
    model: str,
    which: str,
    reason: str,
    env: str,
    as_json: bool,
) -> None:
    """Decide on a dataset in the caller's name, and tell what follows."""
    from serin.cli.curation import curator, tell_decision
    from serin.cli.reach import reach
    from serin.registry.curate import find_dataset

    output, there = Output(as_json=as_json), reach(env)
    found = find_dataset(there.cloud.registry.datasets(model), model, which)
    decide = curator(there)
    decided = {
        "accept": decide.accept,
        "refuse": decide.refuse,
        "exclude": decide.exclude,
        "include": decide.include,
    }[action](model, found.id, reason)
    output.document(tell_decision(output, there, decided))
