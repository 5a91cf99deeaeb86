"""How are receipts, runs, gates and versions told to a person? One function a noun."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from serin.batch.account import BatchAccount, BatchStatus
from serin.cli.curation import tell_held
from serin.cli.show import Output
from serin.client.follow import Judged, Skipped, Step, as_document, sentence
from serin.client.releases import ways_to_answer
from serin.client.versions import Versions
from serin.client.words import gate_in_words, moment, name_some, short, word_life
from serin.contract.gates import NOT_COMPARABLE
from serin.contract.metrics import METRICS, Metric
from serin.contract.serving_spec import label_text
from serin.registry.keys import uploaded_file
from serin.registry.records import Life, Receipt, ReceiptStatus, Release, ReleaseStatus, Retirement, Run

if TYPE_CHECKING:
    from serin.monitoring.drift import DriftReport, Shift

MANY = 3  # reasons of one kind, which are told as one

Reason = dict[str, Any]

SHOWN_REASONS = 8


def tell(output: Output, step: Step) -> None:
    """Tell one step of what became of an upload."""
    match step:
        case Receipt():
            tell_receipt(output, step)
        case Skipped():
            output.say(sentence(step))
        case Run():
            output.say(sentence(step), style="red" if step.error else "")
        case Judged():
            tell_leaderboard(output, step.training)
            tell_gates(
                output, f"{step.version.model}@{step.version.number}", step.version.gates, str(step.version.status)
            )
        case Release():
            tell_release(output, step)


def tell_steps(output: Output, steps: Iterator[Step]) -> list[dict[str, Any]]:
    """Tell each step as it comes, and give them all as documents."""
    documents = []
    with output.waiting("following it"):
        for step in steps:
            tell(output, step)
            documents.append(as_document(step))
    return documents


def tell_receipt(output: Output, receipt: Receipt) -> None:
    """Tell what was decided about an upload, and what to do about what is wrong."""
    output.heading(f"receipt  {receipt.key}")
    facts: list[tuple[str, object]] = [("status", receipt.status)]
    if receipt.rows:
        facts += [("rows", f"{receipt.rows:,} read, {receipt.good_rows:,} good, {receipt.bad_rows:,} set aside")]
    if receipt.dataset:
        facts += [("dataset", receipt.dataset)]
    if receipt.new_rows and receipt.new_rows < receipt.good_rows:
        facts += [("new", f"{receipt.new_rows:,} rows; the others repeat rows that were there")]
    if receipt.decided_by:
        facts += [("decided by", receipt.decided_by.rpartition("/")[2])]
    if receipt.duplicate_of:
        facts += [("same as", f"{receipt.duplicate_of}: nothing new to train on")]
    if receipt.quarantine:
        facts += [("kept at", receipt.quarantine)]
    if receipt.sha256:
        facts += [("sha256", short(receipt.sha256))]
    output.facts(facts)
    tell_reasons(output, receipt.reasons, style="red" if receipt.status is ReceiptStatus.QUARANTINED else "yellow")
    tell_reasons(output, receipt.notes, style="dim")
    if receipt.status is ReceiptStatus.HELD:
        file = uploaded_file(receipt.model, receipt.key)
        output.say("nothing is learned from it before you decide:", style="yellow")
        output.say(f"  it is right   serin accept {receipt.model} {file}")
        output.say(f"  it is wrong   serin refuse {receipt.model} {file}")


def tell_reasons(output: Output, reasons: Sequence[Reason], *, style: str) -> None:
    """Tell reasons: the code of each, what is wrong and where, and what to do. Many of one kind are told as one."""
    alike: dict[Any, list[Reason]] = {}
    for reason in reasons:
        alike.setdefault(_kind(reason), []).append(reason)
    for group in alike.values():
        if len(group) < MANY:
            for reason in group:
                _tell_reason(output, reason, style)
        elif group[0].get("rows"):
            _tell_rows(output, group, style)
        else:
            _tell_columns(output, group, style)


def _kind(reason: Reason) -> Any:
    """What reasons have in common that are told as one: the very same rows, or where none is named the code."""
    rows = reason.get("rows")
    return (*rows, reason.get("count")) if rows else reason["code"]


def _tell_reason(output: Output, reason: Reason, style: str) -> None:
    rows = reason.get("rows") or []
    output.say(f"  {reason['code']}: {reason['message']}", style=style)
    if len(rows) > 1:
        output.say(f"    {_place(reason)}s {_lines(rows, reason.get('count') or len(rows))}")
    if reason.get("fix"):
        output.say(f"    {reason['fix']}")


def _tell_rows(output: Output, group: Sequence[Reason], style: str) -> None:
    """Tell what is wrong with many columns of the same rows: as a rule these are no rows of the table."""
    rows = group[0]["rows"]
    place = f"{_place(group[0])}s" if len(rows) > 1 else _place(group[0])
    lines = _lines(rows, group[0].get("count") or len(rows))
    output.say(f"  {len(group)} columns break the contract in {place} {lines}:", style=style)
    for code in dict.fromkeys(reason["code"] for reason in group):
        output.say(f"    {code}: {name_some(_columns(group, code))}")
    output.say(f"    the first: {group[0]['message']}")
    output.say("    Correct them; take out what is no row of the table, such as a total.")


def _tell_columns(output: Output, group: Sequence[Reason], style: str) -> None:
    """Tell what is wrong with many columns as a whole."""
    code = group[0]["code"]
    if code == "MISSING_COLUMN":
        output.say(f"  {code}: there are no columns {name_some(_columns(group))}", style=style)
        output.say(
            "    Does the file begin with a row of column names? If so, add these, or take them out of the contract."
        )
        return
    output.say(f"  {code}: in {len(group)} columns: {name_some(_columns(group))}", style=style)
    output.say(f"    the first: {group[0]['message']}")
    output.say(f"    {group[0]['fix']}")


def _columns(group: Sequence[Reason], code: str = "") -> list[str]:
    return [str(reason.get("column")) for reason in group if code in ("", reason["code"])]


def _place(reason: Reason) -> str:
    """What the numbers of a reason's rows count, as its message has it: lines of a text, else rows."""
    return "row" if "first in row " in reason["message"] else "line"


def tell_leaderboard(output: Output, training: dict[str, Any]) -> None:
    """Tell what was tried, the best first, baselines among it."""
    metric = training["metric"]
    entries = sorted(training["leaderboard"], key=lambda entry: _rank(entry, METRICS[metric]))
    better = "higher" if METRICS[metric].higher_is_better else "lower"
    output.heading(f"leaderboard  {metric} by cross-validation, {better} is better; {training['fits']} fits")
    best = next((entry for entry in entries if entry["is_candidate"] and entry["family"] == training["chosen"]), None)
    rows = [
        (
            "chosen" if entry["family"] == training["chosen"] and entry is best else "",
            entry["family"],
            _settings(entry["params"]) + ("" if entry["is_candidate"] else " (baseline)"),
            entry["mean"],
            entry["std"],
        )
        for entry in entries
    ]
    output.table(("", "model", "settings", "mean", "± folds"), rows)
    if fitted := training.get("fitted"):
        output.say(
            f"  chosen and fitted on {fitted['judged']:,} rows, judged on {fitted['holdout']:,} others; "
            f"what answers is fitted on all {fitted['served']:,}",
            style="dim",
        )


def tell_gates(output: Output, title: str, gates: Sequence[dict[str, Any]], status: str) -> None:
    """Tell each gate with its evidence."""
    output.heading(f"gates  {title} {status}")
    rows = [(outcome(gate), gate_in_words(gate["gate"]), evidence(gate)) for gate in gates]
    output.table(("", "gate", "evidence"), rows)


def outcome(gate: dict[str, Any]) -> str:
    """Say what came of a gate: one that cannot be compared is held, for a person to decide."""
    if gate["passed"]:
        return "passed"
    return "held" if gate["message"].startswith(NOT_COMPARABLE) else "rejected"


def evidence(gate: dict[str, Any]) -> str:
    """Say what a gate saw, in numbers as short as people read them."""
    if gate["gate"].startswith("parity") and gate["passed"] and gate["value"] is not None:
        return f"the ONNX file answers as scikit-learn does; they differ by at most {gate['value']:.1e}"
    message = gate["message"].replace(" (how sure that is, these rows do not tell)", " (margin of error unknown)")
    return re.sub(r"\d+\.\d{5,}(?:e-?\d+)?", lambda number: f"{float(number[0]):.4g}", message)


def tell_release(output: Output, release: Release) -> None:
    """Tell how a release ended."""
    name = f"{release.model}@{release.version}"
    if release.status in (ReleaseStatus.PROMOTED, ReleaseStatus.WATCHING):
        before = f", instead of version {release.champion_before}" if release.champion_before else ""
        output.say()
        output.say(f"champion  {name} answers now{before}: {release.reason}", style="bold green")
    elif release.status is ReleaseStatus.LIVE:
        output.say()
        output.say(f"{name} is not released yet: {release.reason}", style="yellow")
        for line in ways_to_answer(release):
            output.say(line)
        output.say(f"  look first   serin releases {release.model}")
    else:
        output.say(f"{name} was not released ({release.status}): {release.reason}", style="red")


def tell_versions(output: Output, model: str, metric: str, overview: Versions) -> None:
    """Tell which versions a model has, what is wrong with some, and whether one is being trained."""
    if overview.versions:
        output.heading(f"versions  {model}, {metric} on the hold-out")
    output.table(
        ("version", "status", "chosen", "hold-out", "created", "model sha256"),
        [
            (
                version.number,
                overview.status_of(version),
                version.chosen,
                version.metrics.get(metric),
                moment(version.created_at),
                short(version.files["model.onnx"]),
            )
            for version in overview.versions
        ],
    )
    for version in overview.versions:
        if excluded := overview.excluded_from(version):
            names = ", ".join(dataset.id for dataset in excluded)
            output.say(f"version {version.number} learned from {names}, which was excluded since", style="yellow")
    if line := word_life(model, overview.life):
        output.say(line, style="yellow")
    tell_held(output, model, overview.datasets)
    _tell_failed(output, overview)
    training = overview.training
    decision = training.decision or "no data yet"
    output.say(f"training {training.running}" if training.running else f"no training now: {decision}")


def _tell_failed(output: Output, overview: Versions) -> None:
    """Tell of the last run that failed: aloud where none came after it."""
    runs, failed = overview.runs, overview.failed
    if failed and failed[-1] is runs[-1]:
        output.say(f"the last run, {failed[-1].id}, failed: {failed[-1].error}", style="red")
    elif failed:
        earlier = f"of {len(runs)} runs {len(failed)} failed before the last one"
        output.say(f"{earlier}; {failed[-1].id} at {moment(failed[-1].ended_at)}: {failed[-1].error}", style="dim")


def tell_lineage(output: Output, lineage: dict[str, Any]) -> None:
    """Tell where a version comes from and what became of it."""
    run = lineage["run"]
    output.heading(
        f"{lineage['model']}@{lineage['version']}  {'champion' if lineage['is_champion'] else lineage['status']}"
    )
    if lineage["retirement"]:
        output.say(word_life(lineage["model"], Life(Retirement(**lineage["retirement"]))), style="yellow")
    for upload in lineage["uploads"]:
        output.heading(f"upload  {upload.get('key', '-')}")
        output.facts(
            [
                ("received", moment(upload.get("received_at"))),
                ("upload sha256", short(upload.get("upload_sha256"))),
                ("receipt", upload.get("receipt")),
                ("dataset", f"{upload['dataset']}, {upload.get('rows', 0):,} rows"),
                ("data sha256", short(upload.get("data_sha256"))),
            ]
        )
        if upload.get("state") == "excluded":
            by = upload["state_by"].rpartition("/")[2]
            output.say(f"  excluded since, by {by}: {upload['state_reason']}", style="yellow")
    output.heading(f"run  {run['id']}")
    output.facts(
        [
            ("why", run["reason"]),
            ("started", moment(run["started_at"])),
            ("ended", moment(run["ended_at"])),
            ("rows", f"{run['rows']:,}"),
            ("chosen", run["chosen"]),
            *_fitted(run["fitted"]),
            ("contract sha256", short(run["contract_sha256"])),
            ("code sha256", short(run["code_sha256"])),
        ]
    )
    tell_gates(output, f"{lineage['model']}@{lineage['version']}", lineage["gates"], lineage["status"])
    output.heading("artifacts  sha256")
    digests = {**lineage["files"], "manifest.json": lineage["manifest_sha256"]}
    output.facts((name, short(digest)) for name, digest in digests.items())
    for release in lineage["releases"]:
        output.heading(f"release  {release['id']}")
        output.facts(
            [
                ("strategy", release["strategy"]),
                ("status", release["status"]),
                ("started", moment(release["started_at"])),
                ("ended", moment(release["ended_at"])),
                ("champion before", release["champion_before"]),
                ("reason", release["reason"]),
            ]
        )
    if lineage["history"]:
        output.heading("history")
        rows = [
            (moment(entry["at"]), entry["move"], entry["actor"].rpartition("/")[2], entry["reason"])
            for entry in lineage["history"]
        ]
        output.table(("when", "move", "who", "why"), rows)
    output.say()
    output.say("digests are shortened here; --json has them whole", style="dim")


def _fitted(fitted: dict[str, int]) -> Iterator[tuple[str, str]]:
    """On how many rows each of a version's models was fitted; nothing of versions from before that was kept."""
    if fitted:
        yield "judged model", f"fitted on {fitted['judged']:,} rows, judged by {fitted['holdout']:,} others"
        yield "served model", f"fitted on {fitted['served']:,} rows, with the same setting"
        if fitted["calibration"]:
            yield "calibrated", f"on {fitted['calibration']:,} rows that the judged model did not learn from"


def tell_predictions(output: Output, answer: dict[str, Any]) -> None:
    """Tell the answers of the endpoint."""
    degraded = ", degraded: the newest route is out of reach" if answer.get("degraded") else ""
    output.heading(f"answer  {answer['model']}@{answer['version']}{degraded}")
    columns: dict[str, Callable[[dict[str, Any]], object]] = {
        "prediction": lambda item: item["prediction"],
        "score": lambda item: item["score"],
        "interval": lambda item: f"{_number(item['interval']['low'])} to {_number(item['interval']['high'])}",
        "set": lambda item: ", ".join(map(label_text, item["set"]["labels"])) or "no label",
        "id": lambda item: item["id"],
        "decision": lambda item: ": ".join(filter(None, (item["decision"], item.get("reason")))),
    }
    items = answer["predictions"]
    there = [name for name in columns if name in items[0]]
    output.table(there, [[columns[name](item) for name in there] for item in items])
    for item in items:
        if "contributions" in item:
            _tell_why(output, item)
        for note in item.get("notes", ()):
            output.say(f"  note: {note}", style="yellow")


def _tell_why(output: Output, item: dict[str, Any]) -> None:
    """Tell what moved a score from the mean over the training rows that are kept for it, the largest first."""
    mean = f"the mean over {item['base_rows']} rows is" if item["base_rows"] > 1 else "a usual row has"
    here = "and here" if item["contributions"] else "and so has this one"
    output.heading(f"why  {item['id']}: {mean} {_number(item['base'])}, {here}")
    largest = sorted(item["contributions"].items(), key=lambda pair: -abs(pair[1]))
    shown, others = largest[:SHOWN_REASONS], [value for _, value in largest[SHOWN_REASONS:]]
    facts = [*shown, (f"{len(others)} more", sum(others))] if others else shown
    decimals = _decimals(facts[0][1]) if facts else 0
    output.facts((name, f"{value:+,.{decimals}f}") for name, value in facts)


def _decimals(largest: float) -> int:
    """How many decimals a number is written with to show three digits, and so those beside it."""
    return max(0, 2 - math.floor(math.log10(abs(largest)))) if largest else 0


def _number(value: float) -> str:
    return f"{value:,.4g}"


def _rank(entry: dict[str, Any], metric: Metric) -> float:
    """Sort the best first, and what could not be measured last."""
    if entry["mean"] is None:
        return float("inf")
    return -entry["mean"] if metric.higher_is_better else float(entry["mean"])


def _settings(params: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in params.items()) or "plain"


def _lines(rows: Sequence[int], count: int) -> str:
    shown = ", ".join(str(row) for row in rows[:8])
    return f"{shown}, …, {count:,} in all" if count > min(len(rows), 8) else shown


def tell_batch(output: Output, account: BatchAccount) -> None:
    """Tell what became of every row of a batch."""
    by = f"{account.model}@{account.version}" if account.version else "no version"
    output.say(
        f"{account.status}: {by} answered {account.answered:,} of {account.rows:,} rows; "
        f"{account.rejected:,} set aside, {account.failed:,} failed",
        style="green" if account.status is BatchStatus.DONE else "red",
    )
    for file in account.files:
        if file.reasons:
            output.say(f"{file.key}:")
            tell_reasons(output, file.reasons, style="yellow")
        if file.rejected_rows:
            output.say(f"  the rows set aside, with reasons: {file.rejected_rows}")
    if account.is_unfinished:
        output.say(f"try again what failed: serin batch {account.model} --again {account.job}")


def tell_drift(output: Output, report: DriftReport) -> None:
    """Tell how far what a version is asked has moved, the predictions first and then the features, the worst first, and
    of these what the model leans on most."""
    output.heading(f"drift  {report.model}@{report.version} {report.verdict}")
    output.say(report.reason)
    output.say(f"{report.rows:,} rows from {moment(report.since)} to {moment(report.until)}")
    if report.predictions:
        output.heading("predictions")
        rows = [(shift.column, shift.verdict, _effect(shift), _moved(shift)) for shift in report.predictions]
        output.table(("column", "verdict", "effect", "what moved"), rows)
    if report.features:
        output.heading("features")
        output.table(
            ("column", "verdict", "effect", "importance", "what moved"),
            [
                (shift.column, shift.verdict, _effect(shift), shift.importance, _moved(shift))
                for shift in report.features
            ],
        )
    if report.left_out:
        output.say(f"not compared, for captures hide them: {', '.join(report.left_out)}", style="yellow")


def _effect(shift: Shift) -> str:
    return "-" if shift.effect is None else f"{shift.effect:.2f}"


def _moved(shift: Shift) -> str:
    """Say what moved; of missing values, where their share did by a thousandth or more."""
    then, now = shift.missing
    missing = f"; missing {then:.1%} → {now:.1%}" if abs(now - then) >= 0.001 else ""
    return shift.detail + missing
