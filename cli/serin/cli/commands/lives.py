"""How do a model and an environment end? `retire`, `delete`, `destroy`"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from serin.cli.commands.arguments import AsJson, Env, Model, confirm
from serin.cli.show import Output
from serin.client import project
from serin.client.project import AskedWrongly

app = typer.Typer()


@app.command()
def retire(
    model: Model,
    until: Annotated[
        str, typer.Option(help="from when on it does not answer: a date, a time, or now; without it, it answers on")
    ] = "",
    reason: Annotated[str, typer.Option(help="why, for the history; needed to retire")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="take the retirement back")] = False,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Retire a model. Nothing is trained or released for it any more; it answers until the date, or on and on."""
    from serin.client.environment import reach
    from serin.client.words import word_life
    from serin.registry.records import Life

    output = Output(as_json=as_json)
    if undo and until:
        raise AskedWrongly("--undo takes no --until: the model answers on and on again")
    client = reach(env).model(model)
    if undo:
        client.undo_retirement(reason=reason)
        output.say(f"{model} is retired no longer; whether it is trained is decided now: serin versions {model}")
        output.document({"model": model, "retirement": None})
        return
    retirement = client.retire(until=until or None, reason=reason)
    output.say(word_life(model, Life(retirement)), style="bold")
    output.say(f"take it back:  serin retire {model} --undo")
    output.say(f"delete it:     serin delete {model}")
    output.document({"model": model, "retirement": asdict(retirement)})


@app.command()
def delete(
    model: Model,
    yes: Annotated[str, typer.Option("--yes", metavar="MODEL", help="the model's name, instead of typing it")] = "",
    reason: Annotated[str, typer.Option(help="why, for the history; that of its retirement where left out")] = "",
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Delete a retired model for good. Its history stays; where it broke off, the same command ends it."""
    from serin.cli.endings import tell_inventory
    from serin.client.environment import reach

    output, client = Output(as_json=as_json), reach(env).model(model)
    tell_inventory(output, client.what_goes(), model, project.here().environment(env)["days"]["captures"])
    confirm(model, yes, what="the model")
    deletion = client.delete(confirm=model, reason=reason)
    output.say(f"{model} was {deletion}", style="bold")
    output.document({"model": model, "deletion": asdict(deletion)})


@app.command()
def destroy(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="an environment of cdk.json")],
    data: Annotated[
        Literal["keep", "delete"] | None,
        typer.Option(help="what becomes of buckets and table; by default they are kept where `retain` says so"),
    ] = None,
    yes: Annotated[str, typer.Option("--yes", metavar="ENV", help="its name, instead of typing it")] = "",
    as_json: AsJson = False,
) -> None:
    """Take an environment's stacks off AWS. Its buckets and its table stay, or go too."""
    from serin.cli.endings import plan_destruction, run_destruction, tell_destruction

    output = Output(as_json=as_json)
    plan = plan_destruction(project.here(), environment, data)
    tell_destruction(output, plan)
    confirm(environment, yes, what="the environment")
    run_destruction(output, plan)
    output.document({"environment": environment, "data": plan.data, "stacks": plan.stacks, "stateful": plan.stateful})
