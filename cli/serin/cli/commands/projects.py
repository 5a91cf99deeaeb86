"""How does a project begin, and how does it get to AWS? `new`, `try`, `cdk`, `upgrade`"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from serin.cli.commands.arguments import AsJson, Dates, Decimal, Encoding, Thousands
from serin.cli.exits import AnsweredNo
from serin.cli.show import Output
from serin.client import project
from serin.client.project import AskedWrongly, check_name
from serin.errors import Unavailable

app = typer.Typer()

TRIED = 3  # rows that are asked once there is a version


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="a new folder; the project is called as it is")],
    as_json: AsJson = False,
) -> None:
    """Begin a repository of one's own, with a model to learn from."""
    from serin.cli.new import write_project

    output = Output(as_json=as_json)
    files = [str(path.relative_to(folder)) for path in write_project(folder)]
    output.say(f"wrote {folder}: {', '.join(files)}")
    output.say("next:")
    output.say(f"  cd {folder}")
    output.say("  make try DATA=<a CSV of yours> TARGET=<the column to predict>")
    output.document({"project": str(folder), "files": files})


@app.command("try")
def try_table(
    data: Annotated[Path, typer.Argument(help="a CSV (also .gz) or Parquet file")],
    target: Annotated[str, typer.Option(help="the column to predict")],
    model: Annotated[str, typer.Option(help="what to call the model; by default as the file")] = "",
    decimal: Decimal = None,
    thousands: Thousands = None,
    dates: Dates = None,
    encoding: Encoding = None,
    as_json: AsJson = False,
) -> None:
    """Bring a table of yours to an answer, on the twin: contract, dataset, training, version, prediction."""
    from serin.cli.render import tell_predictions, tell_steps
    from serin.cli.twin import start_detached
    from serin.client.contracts import write_contract
    from serin.client.environment import reach
    from serin.client.rows import rows_from_table
    from serin.client.tables import read_file
    from serin.client.twin import running_twin

    output, place = Output(as_json=as_json), project.here()
    name = check_name(model or re.sub(r"[^a-z0-9]+", "_", data.name.partition(".")[0].lower()).strip("_"))
    table, contract = read_file(data), place.models_folder / name / "model.yaml"
    if not contract.exists():
        told = {"decimal": decimal, "thousands": thousands, "dates": dates, "encoding": encoding}
        written = write_contract(place, name, table, data.name, target, told=told)
        for sentence in written.seen:
            output.say(f"seen: {sentence}")
        output.say(f"wrote {contract}: {written.contract.task} of {target}; read it, and correct it")
    elif (known := place.contracts.load(name)).target != target:
        raise AskedWrongly(f"{contract} predicts {known.target}, not {target}; name another model with --model")
    else:
        output.say(f"{name} has a contract already, by which this goes: {contract}")
    try:
        running_twin(place)
    except Unavailable:
        with output.waiting("starting the twin"):
            start_detached(0)
    client = reach("local").model(name)
    sent = client.upload(table, name=data.name, wait=False)
    steps = tell_steps(output, sent.follow(say=output.say))
    if not sent.is_good:
        output.document({"model": name, "steps": steps})
        raise AnsweredNo
    rows = rows_from_table(table, client.describe())[:TRIED]
    output.say(f"\nwhat it answers to the first {len(rows)} rows:")
    answer = client.ask(rows)
    tell_predictions(output, answer)
    output.say("\nthe twin stays up. Next:")
    output.say(f"  serin why {name}@{answer['version']}     what it was judged by, and on which rows")
    output.say(f"  {contract.relative_to(place.root)}     the contract: read it, correct it, upload again")
    output.say("  serin local down     stops the twin; serin local up goes on where it ended")
    output.document({"model": name, "steps": steps, "answer": answer})


@app.command(
    "cdk", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def run_cdk(words: typer.Context) -> None:
    """Run the CDK's command line, as in: serin cdk deploy -c env=dev. It brings its own Node."""
    from serin.cdk.command_line import compose, with_node

    if not words.args:
        raise AskedWrongly("say what the CDK shall do, as in: serin cdk diff -c env=dev")
    done = subprocess.run(compose(words.args), cwd=project.here().root, env=with_node(os.environ), check=False)
    sys.exit(done.returncode)


@app.command()
def upgrade(as_json: AsJson = False) -> None:
    """Say what changed since the version that this project followed, once a newer one is installed."""
    from serin.cli.upgrade import upgrade_project

    output = Output(as_json=as_json)
    upgraded = upgrade_project(project.here().root)
    output.say(upgraded.summary)
    for heading, text in upgraded.changes.items():
        output.say(f"\n{heading}", style="bold")
        output.say(text)
    output.document({"from": upgraded.before, "to": upgraded.installed, "changes": upgraded.changes})
