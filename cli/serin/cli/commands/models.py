"""Which versions does a model have, and where does each come from? `train`, `versions`, `why`, `diff`, `export`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from serin.cli.commands.arguments import AsJson, Env, Model, Which
from serin.cli.exits import AnsweredNo
from serin.cli.show import Output
from serin.client import project
from serin.client.project import AskedWrongly, check_name

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
    from serin.cli.render import tell_steps
    from serin.client.environment import reach

    output = Output(as_json=as_json)
    project.here().contracts.load(model)
    training = reach(env).model(model).train(wait=False)
    output.say(f"asked for a training of {model}")
    document = {"model": model, "request": training.request}
    if not wait:
        output.say(f"to see what came of it:  serin versions {model}")
        output.document(document)
        return
    output.document({**document, "steps": tell_steps(output, training.follow(timeout, output.say))})
    if not training.is_good:
        raise AnsweredNo


@app.command()
def versions(model: Model, env: Env = "local", as_json: AsJson = False) -> None:
    """List the versions of a model. Says too whether one is being trained, and else why not."""
    from serin.cli.render import tell_versions
    from serin.client.environment import reach

    output = Output(as_json=as_json)
    metric = project.here().contracts.load(model).metric.name
    overview = reach(env).model(model).overview()
    tell_versions(output, model, metric, overview)
    output.document(
        {
            "champion": overview.champion,
            "versions": [asdict(version) for version in overview.versions],
            "training": asdict(overview.training),
            "failed": [asdict(run) for run in overview.failed],
        }
    )


@app.command()
def why(which: Which, env: Env = "local", as_json: AsJson = False) -> None:
    """Show where a version comes from. From its release back to the uploads, with times and digests."""
    from serin.cli.render import tell_lineage
    from serin.client.environment import reach

    output = Output(as_json=as_json)
    model, _, version = which.partition("@")
    lineage = reach(env).model(model).why(version)
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
    from serin.cli.diff import tell_diff
    from serin.client.environment import reach

    output, (model, _, first), (same, _, second) = Output(as_json=as_json), one.partition("@"), other.partition("@")
    check_name(model)
    if same != model:
        raise AskedWrongly(f"{one} and {other} are versions of two models; only versions of one model can be compared")
    differences = reach(env).model(model).diff(first, second, show_values=show_values)
    tell_diff(output, differences)
    output.document(differences)


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
    from serin.client.environment import reach

    output = Output(as_json=as_json)
    model, _, name = which.partition("@")
    project.here().contracts.load(model)
    client = reach(env).model(model)
    version = client.version(name)
    folder = to or Path(f"{model}-{version.number}-{kind}")
    check_is_free(folder)
    files = export(version, client.cloud.artifacts, kind)
    write(files, folder)
    output.say(f"wrote {model}@{version.number} as {kind} to {folder}: {', '.join(sorted(files))}")
    if is_rejected(version):
        output.say("warning: its gates rejected this version; its README.txt says so too", style="yellow")
    output.document({"model": model, "version": version.number, "status": version.status, "files": sorted(files)})
