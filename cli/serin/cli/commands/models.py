"""Which versions does a model have, and where does each come from? `train`, `versions`, `why`, `diff`, `export`"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from serin.cli import project
from serin.cli.commands.arguments import AsJson, Env, Model, Which, check_name
from serin.cli.exits import AnsweredNo
from serin.cli.project import AskedWrongly
from serin.cli.show import Output, moment, short

app = typer.Typer()


@app.command()
def train(
    model: Model,
    wait: Annotated[bool, typer.Option("--wait", help="wait, and show each step")] = False,
    timeout: Annotated[float, typer.Option(help="seconds to wait at most")] = 900.0,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Start a training by hand, on the accepted data."""
    from serin.cli.follow import Follower, ended_badly
    from serin.cli.reach import reach
    from serin.cli.render import tell_steps

    output = Output(as_json=as_json)
    project.contracts().load(model)
    cloud = reach(env).cloud
    request = secrets.token_hex(8)
    cloud.training_requests.send({"model": model, "by": "hand", "id": request})
    output.say(f"asked for a training of {model}")
    if not wait:
        output.say(f"to see what came of it:  serin versions {model}")
        output.document({"model": model, "request": request})
        return
    steps = tell_steps(output, Follower(cloud, timeout, output.say).training(model, request))
    output.document({"model": model, "request": request, "steps": steps})
    if steps[-1]["step"] == "skipped" or ended_badly(steps[-1]):
        raise AnsweredNo


@app.command()
def versions(model: Model, env: Env = "local", as_json: AsJson = False) -> None:
    """List the versions of a model. Says too whether one is being trained, and else why not."""
    from serin.cli.curation import tell_held
    from serin.cli.reach import reach
    from serin.registry.curate import taint
    from serin.registry.records import RunStatus

    output = Output(as_json=as_json)
    contract = project.contracts().load(model)
    registry = reach(env).cloud.registry
    route, state, found = registry.route(model), registry.training(model).value, registry.versions(model)
    champion = route.value.champion.version if route else None
    metric = contract.metric.name
    if found:
        output.heading(f"versions  {model}, {metric} on the hold-out")
    datasets = registry.datasets(model)
    output.table(
        ("version", "status", "chosen", "hold-out", "created", "model sha256"),
        [
            (
                item.number,
                "champion" if item.number == champion else item.status,
                item.chosen,
                item.metrics.get(metric),
                moment(item.created_at),
                short(item.files["model.onnx"]),
            )
            for item in found
        ],
    )
    for item in found:
        if gone := taint(item, datasets):
            names = ", ".join(each.id for each in gone)
            output.say(f"version {item.number} learned from {names}, which was excluded since", style="yellow")
    tell_held(output, model, datasets)
    runs = registry.runs(model)
    failed = [run for run in runs if run.status is RunStatus.FAILED]
    if failed and failed[-1] is runs[-1]:
        output.say(f"the last run, {failed[-1].id}, failed: {failed[-1].error}", style="red")
    elif failed:
        earlier = f"of {len(runs)} runs {len(failed)} failed before the last one"
        output.say(f"{earlier}; {failed[-1].id} at {moment(failed[-1].ended_at)}: {failed[-1].error}", style="dim")
    output.say(f"training {state.running}" if state.running else f"no training now: {state.decision or 'no data yet'}")
    output.document(
        {
            "champion": champion,
            "versions": [asdict(item) for item in found],
            "training": asdict(state),
            "failed": [asdict(run) for run in failed],
        }
    )


@app.command()
def why(which: Which, env: Env = "local", as_json: AsJson = False) -> None:
    """Show where a version comes from. From its release back to the uploads, with times and digests."""
    from serin.cli.reach import reach
    from serin.cli.render import tell_lineage
    from serin.registry.lineage import explain_version, resolve_version

    output = Output(as_json=as_json)
    model, _, version = which.partition("@")
    cloud = reach(env).cloud
    number = resolve_version(cloud.registry, model, version or "champion")
    lineage = explain_version(cloud.registry, cloud.data, model, number)
    tell_lineage(output, lineage)
    output.document(lineage)


@app.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="a version, by number or as champion")],
    other: Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="another one of the same model")],
    show_values: Annotated[
        bool, typer.Option("--show-values", help="show sensitive features of replayed rows")
    ] = False,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Show what differs between two versions. Data, contract, metrics, gates, and answers where they were replayed."""
    from serin.cli.diff import diff_versions, tell_diff
    from serin.cli.reach import reach
    from serin.registry.lineage import resolve_version

    output, (model, _, number), (same, _, others) = Output(as_json=as_json), one.partition("@"), other.partition("@")
    check_name(model)
    if same != model:
        raise AskedWrongly(f"{one} and {other} are versions of two models; only versions of one model can be compared")
    cloud = reach(env).cloud
    numbers = [resolve_version(cloud.registry, model, name or "champion") for name in (number, others)]
    found = diff_versions(cloud, model, *numbers, show_values=show_values)
    tell_diff(output, found)
    output.document(found)


@app.command("export")
def export_version(
    which: Which,
    kind: Annotated[
        Literal["onnx", "wheel", "container"],
        typer.Option(
            "--as", help="onnx: files for the edge; wheel: a Python package; container: what an image is built from"
        ),
    ],
    to: Annotated[Path | None, typer.Option(help="a folder, new or empty; else one is named after the version")] = None,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Export a version, to answer elsewhere as the endpoint does."""
    from serin.cli.export import check_is_free, export, is_rejected, write
    from serin.cli.reach import reach
    from serin.registry.lineage import resolve_version

    output = Output(as_json=as_json)
    model, _, name = which.partition("@")
    project.contracts().load(model)
    cloud = reach(env).cloud
    version = cloud.registry.version(model, resolve_version(cloud.registry, model, name or "champion")).value
    folder = to or Path(f"{model}-{version.number}-{kind}")
    check_is_free(folder)
    files = export(version, cloud.artifacts, kind)
    write(files, folder)
    output.say(f"wrote {model}@{version.number} as {kind} to {folder}: {', '.join(sorted(files))}")
    if is_rejected(version):
        output.say("warning: its gates rejected this version; its README.txt says so too", style="yellow")
    output.document({"model": model, "version": version.number, "status": version.status, "files": sorted(files)})
