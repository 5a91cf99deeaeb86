"""What does a model answer, and was it right? `predict`, `batch`, `feedback`, `drift`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from serin.cli.commands.arguments import AsJson, Env, Model, check_name, read_file
from serin.cli.exits import AnsweredNo
from serin.cli.project import AskedWrongly
from serin.cli.show import Output
from serin.errors import NotFound

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
    from serin.cli.reach import reach
    from serin.cli.render import tell_predictions
    from serin.cli.rows import rows_from_json, rows_from_table

    output = Output(as_json=as_json)
    check_name(model)
    if (rows is None) == (file is None):
        raise AskedWrongly("give either --rows or --file")
    there = reach(env)
    if rows is not None:
        sent = rows_from_json(rows)
    elif file is not None and file.suffix.lower() == ".json":
        sent = rows_from_json(read_file(file))
    else:
        sent = rows_from_table(read_file(file or Path()), there.call("GET", f"/models/{model}"))
    answer = there.call("POST", f"/models/{model}/predict{'?explain=true' if explain else ''}", {"rows": sent})
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
    from serin.cli.batch import follow_batch, send_again, send_file, send_prefix, write_answers
    from serin.cli.reach import reach
    from serin.cli.render import tell_batch

    if bool(file) == bool(again):
        raise AskedWrongly("give a file, or --again and the batch in which some failed")
    output, cloud, attempt = Output(as_json=as_json), reach(env).cloud, 1
    if again:
        job, attempt = again, send_again(cloud, model, again)
        output.say(f"asked to try again what failed in {job}; this is attempt {attempt}")
    else:
        is_prefix = file.startswith(f"batch/{model}/") and file.endswith("/")
        job = send_prefix(cloud, file) if is_prefix else send_file(cloud, model, Path(file), read_file(Path(file)))
        output.say(f"sent {file} to {model}; the batch is {job}")
    if not (wait or out):
        output.say(f"the answers, and the account of every row, will be under predictions/{model}/{job}/")
        output.document({"job": job})
        return
    account = follow_batch(cloud, model, job, timeout, output.say, attempt=attempt)
    tell_batch(output, account)
    if out:
        output.say(f"wrote {write_answers(cloud, account, out):,} answers to {out}")
    output.document(account.to_dict())
    if account.status != "done":
        raise AnsweredNo


@app.command()
def feedback(
    model: Model,
    file: Annotated[Path, typer.Argument(help="a table with the columns id and truth, or a JSON object a line")],
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Send what predictions turned out to be, over HTTP. Exit status 1 where a line is wrong; the others are taken."""
    from serin.cli.feedback import send_feedback
    from serin.cli.reach import reach

    output = Output(as_json=as_json)
    check_name(model)
    sent = send_feedback(reach(env), model, read_file(file))
    output.say(f"received {sent.received:,} of {sent.received + len(sent.refused):,}")
    for each in sent.refused[:20]:
        output.say(f"  line {each.line}: {each.message}", style="red")
    if len(sent.refused) > 20:
        output.say(f"  and {len(sent.refused) - 20:,} more")
    output.document(asdict(sent))
    if sent.refused:
        raise AnsweredNo


@app.command()
def drift(model: Model, env: Env = "local", as_json: AsJson = False) -> None:
    """Compare what the champion is asked with what it was trained on. Exit status 1 where that has drifted."""
    from serin.aws.wiring import checker_in
    from serin.cli.reach import reach
    from serin.cli.render import tell_drift
    from serin.monitoring.drift import DriftVerdict
    from serin.training.start import BY_HAND

    output, there = Output(as_json=as_json), reach(env)
    report = checker_in(there.cloud, actor=there.caller).check(model, BY_HAND)
    if report is None:
        raise NotFound(f"{model} has no champion: nothing was released yet", code="NO_CHAMPION")
    tell_drift(output, report)
    output.document(asdict(report))
    if report.verdict is DriftVerdict.DRIFTED:
        raise AnsweredNo
