"""Which version answers, and who says so? `release`, `releases`, `approve`, `reject`, `rollback`"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from serin.cli.commands.arguments import AsJson, Env, Model, Which, read_version
from serin.cli.show import Output
from serin.client import project

if TYPE_CHECKING:
    from serin.registry.records import Release

app = typer.Typer()


@app.command()
def release(
    which: Which,
    override_block: Annotated[
        bool,
        typer.Option(
            "--override-block", help="release it although the same model was rolled back; the history names you"
        ),
    ] = False,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Start a release of a version by hand, under its contract's plan."""
    from serin.client.environment import reach

    output, (model, number) = Output(as_json=as_json), read_version(which)
    release = reach(env).model(model).release(number, override_block=override_block)
    output.say(f"release {release.id} of {model}@{number} is {release.status}: {release.strategy}")
    output.say(f"to watch it:  serin releases {model} --follow")
    output.document(asdict(release))


@app.command()
def releases(
    model: Model,
    is_followed: Annotated[bool, typer.Option("--follow", help="show the one under way until it ends")] = False,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """List the releases of a model, and how the one under way stands."""
    from serin.cli.releases import follow, tell_releases
    from serin.client.environment import reach

    output, cloud = Output(as_json=as_json), reach(env).model(model).cloud
    if not cloud.registry.releases(model):
        project.here().contracts.load(model)  # there may be no such model at all
    if is_followed:
        follow(output, cloud, model)
    output.document(tell_releases(output, cloud, model))


Seen = Annotated[str, typer.Option("--seen", help="the evidence that you saw; `serin releases` shows its name")]


@app.command()
def approve(which: Which, seen: Seen, env: Env = "local", as_json: AsJson = False) -> None:
    """Approve what a release waits for, on the evidence that you saw."""
    from serin.client.environment import reach

    model, number = read_version(which)
    _tell_answer(Output(as_json=as_json), "approved", reach(env).model(model).approve(number, seen=seen))


@app.command()
def reject(which: Which, seen: Seen, env: Env = "local", as_json: AsJson = False) -> None:
    """Reject a release: it ends, and the champion goes on."""
    from serin.client.environment import reach

    model, number = read_version(which)
    _tell_answer(Output(as_json=as_json), "rejected", reach(env).model(model).reject(number, seen=seen))


def _tell_answer(output: Output, answer: str, release: Release) -> None:
    output.say(f"{answer}: release {release.id} acts on it at its next turn")
    output.document(asdict(release))


@app.command()
def rollback(
    which: Annotated[
        str, typer.Argument(metavar="MODEL[@VERSION]", help="the version to roll back; default: the champion")
    ],
    reason: Annotated[str, typer.Option(help="why, for the history")] = "asked for by hand",
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Let the previous champion answer again, at once."""
    from serin.client.environment import reach

    output = Output(as_json=as_json)
    model, _, version = which.partition("@")
    route = reach(env).model(model).rollback(version or None, reason=reason)
    output.say(f"{model}@{route.champion.version} answers again", style="bold green")
    output.say("running endpoints follow within 5 seconds; the version that was rolled back is not released again")
    output.document(asdict(route))
