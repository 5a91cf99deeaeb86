"""Which version answers, and who says so? `release`, `releases`, `approve`, `reject`, `rollback`"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from serin.cli import project
from serin.cli.commands.arguments import AsJson, Env, Model, Which, read_version
from serin.cli.show import Output

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
    from serin.aws.wiring import releaser_in
    from serin.cli.reach import reach

    output, (model, number), there = Output(as_json=as_json), read_version(which), reach(env)
    starter = releaser_in(there.cloud, actor=there.caller).starter
    started = starter.start_by_hand(model, number, unblocked_by=there.caller if override_block else "")
    output.say(f"release {started.id} of {model}@{number} is {started.status}: {started.strategy}")
    output.say(f"to watch it:  serin releases {model} --follow")
    output.document(asdict(started))


@app.command()
def releases(
    model: Model,
    is_followed: Annotated[bool, typer.Option("--follow", help="show the one under way until it ends")] = False,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """List the releases of a model, and how the one under way stands."""
    from serin.cli.reach import reach
    from serin.cli.releases import follow, tell_releases

    output, cloud = Output(as_json=as_json), reach(env).cloud
    if not cloud.registry.releases(model):
        project.contracts().load(model)  # there may be no such model at all
    if is_followed:
        follow(output, cloud, model)
    output.document(tell_releases(output, cloud, model))


Seen = Annotated[str, typer.Option("--seen", help="the evidence that you saw; `serin releases` shows its name")]


@app.command()
def approve(which: Which, seen: Seen, env: Env = "local", as_json: AsJson = False) -> None:
    """Approve what a release waits for, on the evidence that you saw."""
    _answer(which, seen, env, is_approved=True, output=Output(as_json=as_json))


@app.command()
def reject(which: Which, seen: Seen, env: Env = "local", as_json: AsJson = False) -> None:
    """Reject a release: it ends, and the champion goes on."""
    _answer(which, seen, env, is_approved=False, output=Output(as_json=as_json))


def _answer(which: str, seen: str, env: str, *, is_approved: bool, output: Output) -> None:
    from serin.aws.wiring import releaser_in
    from serin.cli.reach import reach
    from serin.release.approve import answer

    (model, number), there = read_version(which), reach(env)
    releaser = releaser_in(there.cloud, actor=there.caller)
    # On the twin everybody is one identity, which therefore says nothing of who somebody is.
    answered = answer(releaser, model, number, is_approved=is_approved, seen=seen, needs_another=env != "local")
    output.say(f"{'approved' if is_approved else 'rejected'}: release {answered.id} acts on it at its next turn")
    output.document(asdict(answered))


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
    from serin.aws.wiring import releaser_in
    from serin.cli.reach import reach
    from serin.registry.lineage import resolve_version
    from serin.release.rollback import rollback as roll_back

    output = Output(as_json=as_json)
    model, _, version = which.partition("@")
    there = reach(env)  # the contract is not read: it may be what is broken
    number = resolve_version(there.cloud.registry, model, version) if version else None
    route = roll_back(releaser_in(there.cloud, actor=there.caller), model, reason, version=number)
    output.say(f"{model}@{route.champion.version} answers again", style="bold green")
    output.say("running endpoints follow within 5 seconds; the version that was rolled back is not released again")
    output.document(asdict(route))
