"""What does a model answer, and was it right? `predict`, `batch`, `feedback`, `drift`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from serin.cli.commands.arguments import AsJson, Env, Model
from serin.cli.exits import AnsweredNo
from serin.cli.show import Output
from serin.client.project import AskedWrongly, check_name

app = typer.Typer()


@app.command()
def predict(
    model: Model,
    rows: Annotated[str | None, typer.Option(help="rows as JSON, like '[{\"age\": 41}]'")] = None,
    file: Annotated[Path | None, typer.Option(help="rows as a JSON, CSV (also .gz) or Parquet file")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="say what each feature contributed")] = False,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Ask the endpoint for predictions, over HTTP."""
    from serin.cli.render import tell_predictions
    from serin.client.environment import reach
    from serin.client.rows import rows_from_json, rows_from_table
    from serin.client.tables import read_file

    output = Output(as_json=as_json)
    check_name(model)
    if (rows is None) == (file is None):
        raise AskedWrongly("give either --rows or --file")
    client = reach(env).model(model)
    if rows is not None:
        sent = rows_from_json(rows)
    elif file is not None and file.suffix.lower() == ".json":
        sent = rows_from_json(read_file(file))
    else:
        sent = rows_from_table(read_file(file or Path()), client.describe())
    answer = client.ask(sent, explain=explain)
    tell_predictions(output, answer)
    output.document(answer)


@app.command()
def batch(
    model: Model,
    file: Annotated[
        str, typer.Argument(help="a CSV (also .gz) or Parquet file, or a folder of the data bucket: batch/<model>/…/")
    ] = "",
    again: Annotated[str, typer.Option(metavar="JOB", help="try again what failed in this batch")] = "",
    out: Annotated[Path | None, typer.Option(help="write all answers into this CSV file; waits for them")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="wait until every row is accounted for")] = False,
    timeout: Annotated[float, typer.Option(help="seconds to wait at most")] = 900.0,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Answer a whole file, or all files in a folder. With --wait, exit status 1 where a row got no answer."""
    from serin.cli.render import tell_batch
    from serin.client.environment import reach

    if bool(file) == bool(again):
        raise AskedWrongly("give a file, or --again and the batch in which some failed")
    output, client = Output(as_json=as_json), reach(env).model(model)
    if again:
        batch = client.batch_again(again)
        output.say(f"asked to try again what failed in {again}; this is attempt {batch.attempt}")
    else:
        batch = client.batch(file, wait=False)
        output.say(f"sent {file} to {model}; the batch is {batch.job}")
    if not (wait or out):
        output.say(f"the answers, and the account of every row, will be under predictions/{model}/{batch.job}/")
        output.document({"job": batch.job})
        return
    batch.wait(timeout, output.say)
    tell_batch(output, batch.account)
    if out:
        output.say(f"wrote {batch.write(out):,} answers to {out}")
    output.document(batch.account.to_dict())
    if not batch.is_done:
        raise AnsweredNo


@app.command()
def feedback(
    model: Model,
    file: Annotated[Path, typer.Argument(help="a table with the columns id and truth, or a JSON object a line")],
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Send what predictions turned out to be, over HTTP. Exit status 1 where a line is wrong; the others are taken."""
    from serin.client.environment import reach
    from serin.client.tables import read_file

    output = Output(as_json=as_json)
    check_name(model)
    sent = reach(env).model(model).feedback(read_file(file))
    output.say(f"received {sent.received:,} of {sent.received + len(sent.refused):,}")
    for refused in sent.refused[:20]:
        output.say(f"  line {refused.line}: {refused.message}", style="red")
    if len(sent.refused) > 20:
        output.say(f"  and {len(sent.refused) - 20:,} more")
    output.document(asdict(sent))
    if sent.refused:
        raise AnsweredNo


@app.command()
def drift(model: Model, env: Env = "local", as_json: AsJson = False) -> None:
    """Compare what the champion is asked with what it was trained on. Exit status 1 where that has drifted."""
    from serin.cli.render import tell_drift
    from serin.client.environment import reach
    from serin.monitoring.drift import DriftVerdict

    output = Output(as_json=as_json)
    report = reach(env).model(model).drift()
    tell_drift(output, report)
    output.document(asdict(report))
    if report.verdict is DriftVerdict.DRIFTED:
        raise AnsweredNo
