"""How is the cloud on this machine started, found and stopped? `local up`, `down`, `status`, `env`"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer

from serin.cli.commands.arguments import DEFAULT_PORT, AsJson, Port
from serin.cli.exits import AnsweredNo
from serin.cli.show import Output
from serin.client import project
from serin.client.words import moment
from serin.errors import SerinError

app = typer.Typer()
local = typer.Typer(no_args_is_help=True, help="The twin: the cloud on this machine.")
app.add_typer(local, name="local")


@local.command("up")
def local_up(
    detach: Annotated[bool, typer.Option("--detach", help="leave it running in the background")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="throw away what the last one held, and begin empty")] = False,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", hidden=True)] = False,
    port: Port = DEFAULT_PORT,
    as_json: AsJson = False,
) -> None:
    """Start the twin: the synthesised templates on moto, with real function processes.

    It goes on where the last one ended: models, data, receipts, releases and the API key are kept in .serin/state.
    """
    from serin.cli.twin import start_detached, twin_up, wait_for_end

    output = Output(as_json=as_json)
    if detach:
        options = [name for name, is_set in (("--fresh", fresh), ("--ephemeral", ephemeral)) if is_set]
        with output.waiting("starting the twin"):
            facts = start_detached(port, *options)
        _tell_restored(output, facts["restored_from"])
        _tell_twin(output, facts)
        return
    with twin_up(port=port, say=output.say, is_kept=not ephemeral, is_fresh=fresh) as facts:
        _tell_restored(output, facts["restored_from"])
        _tell_twin(output, facts)
        wait_for_end(facts["twin"])
        output.say("stopping the twin")


@local.command("down")
def local_down(as_json: AsJson = False) -> None:
    """Stop the twin. The next one goes on where it ended."""
    from serin.cli.twin import stop_detached

    output = Output(as_json=as_json)
    pid = stop_detached()
    output.say(f"the twin (process {pid}) is down")
    output.document({"pid": pid})


@local.command("status")
def local_status(as_json: AsJson = False) -> None:
    """Say whether the twin is up, and where. Exit status 1 where it is not."""
    from serin.client.twin import running_twin

    output = Output(as_json=as_json)
    try:
        _tell_twin(output, running_twin(project.here()))
    except SerinError as error:
        output.say(error.message)
        output.document({"up": False})
        raise AnsweredNo from error


@local.command("env")
def local_env(as_json: AsJson = False) -> None:
    """Print the exports that point the AWS CLI, boto3, CDK and curl at the twin: eval "$(serin local env)"."""
    from serin.client.environment import reach
    from serin.client.twin import running_twin

    output, variables = Output(as_json=as_json), dict(running_twin(project.here())["environment"])
    if running_twin(project.here())["outputs"]:
        environment = reach("local")
        variables |= {"SERIN_URL": environment.url, "SERIN_API_KEY": environment.api_key}
    for name, value in variables.items():
        output.raw(f"export {name}={value}")
    output.document(variables)


def _tell_twin(output: Output, facts: dict[str, Any]) -> None:
    outputs = facts["outputs"]
    output.say(f"the twin is up (process {facts['pid']}): {', '.join(facts['started'])}", style="bold green")
    output.facts(
        [
            ("AWS endpoint", facts["endpoint_url"]),
            ("HTTP endpoint", outputs["ApiUrl"]),
            ("data", f"s3://{outputs['DataBucket']}"),
            ("artifacts", f"s3://{outputs['ArtifactsBucket']}"),
            ("table", outputs["Table"]),
        ]
    )
    output.say('to use the AWS CLI with it:  eval "$(serin local env)"; aws s3 ls')
    output.say("to stop it:  serin local down")
    output.document({"up": True, **{name: value for name, value in facts.items() if name != "twin"}})


def _tell_restored(output: Output, saved_at: str | None) -> None:
    """Say what a twin was started with; nothing where it was started empty."""
    from serin.client.environment import reach
    from serin.registry.keys import UPLOADS, upload_folder

    if not saved_at:
        return
    models = Counter(upload_folder(stored.key) for stored in reach("local").cloud.data.list(UPLOADS))
    counts = f"{_count(len(models), 'model')}, {_count(models.total(), 'upload')}"
    output.say(f"restored {counts} from {moment(saved_at)}; begin empty with: serin local up --fresh")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
