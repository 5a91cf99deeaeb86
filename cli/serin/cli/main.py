"""Which commands are there? `serin --help` lists them; each is a few lines that ask the library and tell the answer."""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from serin.cli import project
from serin.cli.project import AskedWrongly
from serin.cli.show import Output, complain, moment, short
from serin.errors import ContractError, NotFound, Refused, SerinError

if TYPE_CHECKING:
    from serin.cli.follow import Step

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a table of data to a prediction endpoint that looks after itself.",
)
local = typer.Typer(no_args_is_help=True, help="The twin: the cloud on this machine.")
app.add_typer(local, name="local")

Model = Annotated[str, typer.Argument(help="the model's name")]
Which = Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="like loans@3 or loans@champion")]
Env = Annotated[str, typer.Option("--env", help="an environment of cdk.json")]
AsJson = Annotated[bool, typer.Option("--json", help="write one JSON document and nothing else")]
Port = Annotated[int, typer.Option(envvar="SERIN_PORT", min=0, max=65534, help="the twin's port; 0 takes a free one")]

DEFAULT_PORT = 4600
DRILLED_LOANS = 2500


class ExampleName(StrEnum):
    LOANS = "loans"
    TUMOURS = "tumours"
    DIABETES = "diabetes"


class AnsweredNo(Exception):
    """When a command did its work and the answer is no. Exit status 1."""


@app.command()
def init(
    model: Model,
    data: Annotated[Path, typer.Option(help="a CSV or Parquet file of examples")],
    target: Annotated[str, typer.Option(help="the column to predict")],
    force: Annotated[bool, typer.Option(help="overwrite a contract that exists")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a contract from a file of examples."""
    from serin.contract.load import parse_contract
    from serin.data.infer import infer_contract

    output = Output(as_json=as_json)
    _check_name(model)
    place = project.models_folder() / model / "model.yaml"
    if place.exists() and not force:
        raise AskedWrongly(f"{place} exists already; overwrite it with --force")
    text = infer_contract(_read_file(data), data.name, model, target)
    contract = parse_contract(text, str(place))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    output.say(f"wrote {_relative(place)}: {contract.task} of {target} from {len(contract.features)} features")
    sensitive = [name for name, feature in contract.features.items() if feature.sensitive]
    if sensitive:
        output.say(f"marked sensitive, as facts about people: {', '.join(sensitive)}; is that right?", style="yellow")
    output.say("read it and correct it; then:")
    output.say(f"  serin check {model}")
    output.say(f"  serin upload {model} {data} --wait")
    output.document(
        {"model": model, "contract": str(place), "task": contract.task, "features": list(contract.features)}
    )


@app.command()
def check(
    model: Annotated[str | None, typer.Argument(help="a model; all where left out")] = None, as_json: AsJson = False
) -> None:
    """Check contracts, and say how long their releases will take. Exit status 1 where one is wrong."""
    from serin.contract.advice import advise
    from serin.release.forecast import forecast_release
    from serin.release.plan import resolve_plan

    output, contracts = Output(as_json=as_json), project.contracts()
    findings: list[dict[str, Any]] = []
    forecasts: dict[str, str] = {}
    names = [model] if model else contracts.names()
    for name in names:
        try:
            contract = contracts.load(name)
        except ContractError as error:
            for problem in error.problems:
                output.say(str(problem), style="red")
                findings.append({"model": name, **asdict(problem)})
            continue
        output.say(
            f"{name}: valid. {contract.task} of {contract.target}, {len(contract.features)} features", style="green"
        )
        plan = resolve_plan(contract.model_dump(mode="json")["release"], seconds_per_plan_minute=60)
        forecasts[name] = forecast_release(plan, "entities" if contract.entity else "requests")
        output.say(f"  {forecasts[name]}")
        for advice in advise(contract):
            output.say(f"  {advice}", style="yellow")
    if not names:
        output.say("no contract yet; write one with: serin init <model> --data <file> --target <column>")
    output.document({"checked": names, "problems": findings, "releases": forecasts})
    if findings:
        raise AnsweredNo


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
    from serin.cli.twin import running_twin

    output = Output(as_json=as_json)
    try:
        _tell_twin(output, running_twin())
    except SerinError as error:
        output.say(error.message)
        output.document({"up": False})
        raise AnsweredNo from error


@local.command("env")
def local_env(as_json: AsJson = False) -> None:
    """Print the exports that point the AWS CLI, boto3, CDK and curl at the twin: eval "$(serin local env)"."""
    from serin.cli.reach import reach
    from serin.cli.twin import running_twin

    output, variables = Output(as_json=as_json), dict(running_twin()["environment"])
    if running_twin()["outputs"]:
        there = reach("local")
        variables |= {"SERIN_URL": there.outputs["ApiUrl"].rstrip("/"), "SERIN_API_KEY": there.api_key}
    for name, value in variables.items():
        output.raw(f"export {name}={value}")
    output.document(variables)


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
    from serin.cli.follow import Follower
    from serin.cli.reach import reach

    output = Output(as_json=as_json)
    project.contracts().load(model)
    content = _read_file(file)
    there = reach(env)
    cloud, key = there.cloud, f"uploads/{model}/{file.name}"
    version = cloud.data.put(key, content, by=there.caller)
    output.say(f"uploaded {len(content):,} bytes to {key}")
    if not wait:
        output.say(f"to see what came of it:  serin receipt {model} {file.name}")
        output.document({"key": key, "object_version": version})
        return
    steps = _follow(output, Follower(cloud, timeout, output.say).upload(model, key, version))
    output.document({"key": key, "object_version": version, "steps": steps})
    if steps[0]["status"] not in ("accepted", "duplicate") or _ended_badly(steps[-1]):
        raise AnsweredNo


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
        job = send_prefix(cloud, file) if is_prefix else send_file(cloud, model, Path(file), _read_file(Path(file)))
        output.say(f"sent {file} to {model}; the batch is {job}")
    if not (wait or out):
        output.say(f"the answers, and the account of every row, will be under predictions/{model}/{job}/")
        output.document({"job": job})
        return
    account = follow_batch(cloud, model, job, timeout, output.say, attempt=attempt)
    tell_batch(output, account)
    if out:
        output.say(f"wrote {write_answers(cloud, account, out):,} answers to {out}")
    output.document(account)
    if account["status"] != "done":
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
def accept(
    model: Model,
    upload: Annotated[str, typer.Argument(help="the file's name below uploads/<model>/, or the id of its dataset")],
    reason: Annotated[str, typer.Option(help="why, for the history")] = "",
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Let an upload that is held be learned from."""
    _curate("accept", model, upload, reason, env, as_json)


@app.command()
def refuse(
    model: Model,
    upload: Annotated[str, typer.Argument(help="the file's name below uploads/<model>/, or the id of its dataset")],
    reason: Annotated[str, typer.Option(help="why, for the history")] = "",
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
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


@app.command()
def train(
    model: Model,
    wait: Annotated[bool, typer.Option("--wait", help="wait, and show each step")] = False,
    timeout: Annotated[float, typer.Option(help="seconds to wait at most")] = 900.0,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Start a training by hand, on the accepted data."""
    from serin.cli.follow import Follower
    from serin.cli.reach import reach

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
    steps = _follow(output, Follower(cloud, timeout, output.say).training(model, request))
    output.document({"model": model, "request": request, "steps": steps})
    if steps[-1]["step"] == "rested" or _ended_badly(steps[-1]):
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
def drift(model: Model, env: Env = "local", as_json: AsJson = False) -> None:
    """Compare what the champion is asked with what it was trained on. Exit status 1 where that has drifted."""
    from serin.aws.wiring import checker_in
    from serin.cli.reach import reach
    from serin.cli.render import tell_drift
    from serin.monitoring.drift import Verdict
    from serin.training.start import BY_HAND

    output, there = Output(as_json=as_json), reach(env)
    report = checker_in(there.cloud, actor=there.caller).check(model, BY_HAND)
    if report is None:
        raise NotFound(f"{model} has no champion: nothing was released yet", code="NO_CHAMPION")
    tell_drift(output, report)
    output.document(asdict(report))
    if report.verdict is Verdict.DRIFTED:
        raise AnsweredNo


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
    _check_name(model)
    if (rows is None) == (file is None):
        raise AskedWrongly("give either --rows or --file")
    there = reach(env)
    if rows is not None:
        sent = rows_from_json(rows)
    elif file is not None and file.suffix.lower() == ".json":
        sent = rows_from_json(_read_file(file))
    else:
        sent = rows_from_table(_read_file(file or Path()), there.call("GET", f"/models/{model}"))
    answer = there.call("POST", f"/models/{model}/predict{'?explain=true' if explain else ''}", {"rows": sent})
    tell_predictions(output, answer)
    output.document(answer)


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
    _check_name(model)
    sent = send_feedback(reach(env), model, _read_file(file))
    output.say(f"received {sent.received:,} of {sent.received + len(sent.refused):,}")
    for each in sent.refused[:20]:
        output.say(f"  line {each.line}: {each.message}", style="red")
    if len(sent.refused) > 20:
        output.say(f"  and {len(sent.refused) - 20:,} more")
    output.document(asdict(sent))
    if sent.refused:
        raise AnsweredNo


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
    from serin.release.rollback import take_back

    output = Output(as_json=as_json)
    model, _, version = which.partition("@")
    there = reach(env)  # the contract is not read: it may be what is broken
    number = resolve_version(there.cloud.registry, model, version) if version else None
    route = take_back(releaser_in(there.cloud, actor=there.caller), model, reason, version=number)
    output.say(f"{model}@{route.champion.version} answers again", style="bold green")
    output.say("running endpoints follow within 5 seconds; the version that was rolled back is not released again")
    output.document(asdict(route))


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

    output, (model, number), there = Output(as_json=as_json), _version(which), reach(env)
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

    (model, number), there = _version(which), reach(env)
    releaser = releaser_in(there.cloud, actor=there.caller)
    # On the twin everybody is one identity, which therefore says nothing of who somebody is.
    answered = answer(releaser, model, number, is_approved=is_approved, seen=seen, needs_another=env != "local")
    output.say(f"{'approved' if is_approved else 'rejected'}: release {answered.id} acts on it at its next turn")
    output.document(asdict(answered))


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
    _check_name(model)
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


@app.command()
def example(
    name: Annotated[ExampleName, typer.Argument(help="loans is generated, at any size; the other two are real")],
    file: Annotated[Path, typer.Argument(help="the CSV to write")],
    rows: Annotated[int, typer.Option(help="how many loans", min=1, max=5_000_000)] = 3000,
    skip: Annotated[
        int, typer.Option(help="how many applicants to leave out first, for a table of later ones", min=0)
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Write the table of an example model as a CSV."""
    from serin.cli.examples import tables

    output = Output(as_json=as_json)
    frame = tables.example(name, rows=rows, first=skip)
    try:
        file.write_bytes(tables.to_csv(frame))
    except OSError as error:
        raise AskedWrongly(f"{file} cannot be written: {error.strerror}") from error
    output.say(f"wrote {len(frame):,} rows of {name.value} to {file}")
    output.document({"example": name.value, "file": str(file), "rows": len(frame), "columns": list(frame.columns)})


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="leave the twin running afterwards")] = False,
    port: Port = 0,
    as_json: AsJson = False,
) -> None:
    """Show the whole loop on a twin of its own. From an upload to a release that is rolled back, told as a story."""
    from serin.cli.demo import run_demo

    run_demo(Output(as_json=as_json), port=port, keep=keep)


@app.command()
def drill(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Option(help="rows to train on and to ask; the examples loans, tumours and diabetes have some"),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="leave the twin running afterwards")] = False,
    port: Port = 0,
    as_json: AsJson = False,
) -> None:
    """Break releases on purpose, to see each end as it must. On a twin of its own; exit status 1 where one does not."""
    from serin.cli.drill import run_drill
    from serin.cli.examples import tables

    _check_name(model)
    if data is None and model not in list(ExampleName):
        raise AskedWrongly(f"there are no rows of {model} here; give some with --data <file>")
    table = _read_file(data) if data else tables.to_csv(tables.example(model, rows=DRILLED_LOANS))
    if not run_drill(Output(as_json=as_json), model, table, port=port, keep=keep):
        raise AnsweredNo


def _follow(output: Output, steps: Iterator[Step]) -> list[dict[str, Any]]:
    """Tell each step as it comes, and give them all as documents."""
    from serin.cli.follow import as_document
    from serin.cli.render import tell

    documents = []
    with output.waiting("following it"):
        for step in steps:
            tell(output, step)
            documents.append(as_document(step))
    return documents


def _ended_badly(step: dict[str, Any]) -> bool:
    """Tell whether the last thing that was followed is a no: gates not passed, a run failed, a release refused."""
    status = step["version"]["status"] if step["step"] == "judged" else step.get("status")
    return status in (
        "rejected",
        "held",
        "failed",
        "refused",
        "rolled_back",
        "expired",
        "halted",
        "aborted",
        "superseded",
    )


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
    from serin.cli.reach import reach

    if not saved_at:
        return
    models = Counter(stored.key.split("/")[1] for stored in reach("local").cloud.data.list("uploads/"))
    counts = f"{_count(len(models), 'model')}, {_count(models.total(), 'upload')}"
    output.say(f"restored {counts} from {moment(saved_at)}; begin empty with: serin local up --fresh")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _version(which: str) -> tuple[str, int]:
    """Read MODEL@VERSION where the version must be a number."""
    model, _, version = which.partition("@")
    _check_name(model)
    if not (version.isascii() and version.isdigit()):
        raise AskedWrongly(f"{which!r} names no version; write it like {model}@3")
    return model, int(version)


def _check_name(model: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", model):
        raise AskedWrongly(f"{model!r} is no name of a model; names have lower-case letters, digits, - and _")


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise AskedWrongly(f"there is no file {file}") from error
    except IsADirectoryError as error:
        raise AskedWrongly(f"{file} is a folder; name a file") from error
    except PermissionError as error:
        raise AskedWrongly(f"you may not read {file}") from error


def _check_words(words: Sequence[str]) -> None:
    """Raise AskedWrongly where a word is not UTF-8, as the name of a file may be: keys and contracts are."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            shown = word.encode(errors="backslashreplace").decode()
            raise AskedWrongly(f"{shown} is not UTF-8; where it is a file's name, rename the file") from error


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main() -> None:
    """Run a command; turn what went wrong into a sentence and a status: 1 the answer is no, 2 asked wrongly."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may not have every letter
    try:
        _check_words(sys.argv[1:])
        app()
    except AnsweredNo:
        sys.exit(1)
    except ContractError as error:
        _fail(error, 2)
    except (AskedWrongly, Refused, NotFound) as error:
        _fail(error, 2)
    except SerinError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(error: SerinError, status: int) -> None:
    if "--json" in sys.argv:
        said: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.fix:
            said["fix"] = error.fix
        if isinstance(error, ContractError):
            said["problems"] = [asdict(problem) for problem in error.problems]
        print(json.dumps({"error": said}))
    complain(f"{error.message}\n{error.fix}".strip())
    sys.exit(status)


if __name__ == "__main__":
    main()
