"""How are receipts, runs, gates and versions told to a person? One function a noun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cli.follow import Judged, Rested, Step
from cli.show import Output, moment
from serin.batch.close import is_unfinished
from serin.contract.metrics import METRICS, Metric
from serin.contract.spec import label_text
from serin.registry.records import Receipt, ReceiptStatus, Release, ReleaseStatus, Run

if TYPE_CHECKING:
    from serin.monitoring.drift import Report

SHOWN_REASONS = 8


def tell(output: Output, step: Step) -> None:
    """Tell one step of what became of an upload."""
    match step:
        case Receipt():
            tell_receipt(output, step)
        case Rested():
            output.say(f"no training now: {step.reason}")
        case Run() if step.error:
            output.say(f"run {step.id} failed: {step.error}", style="red")
        case Run():
            output.say(f"training {step.model}: {step.reason} (run {step.id})")
        case Judged():
            tell_leaderboard(output, step.training)
            tell_gates(
                output, f"{step.version.model}@{step.version.number}", step.version.gates, str(step.version.status)
            )
        case Release():
            tell_release(output, step)


def tell_receipt(output: Output, receipt: Receipt) -> None:
    """Tell what was decided about an upload, and what to do about what is wrong."""
    output.heading(f"receipt  {receipt.key}")
    facts: list[tuple[str, object]] = [("status", receipt.status)]
    if receipt.rows:
        facts += [("rows", f"{receipt.rows:,} read, {receipt.good_rows:,} good, {receipt.bad_rows:,} set aside")]
    if receipt.dataset:
        facts += [("dataset", receipt.dataset)]
    if receipt.duplicate_of:
        facts += [("same as", f"{receipt.duplicate_of}: nothing new, so nothing is trained")]
    if receipt.quarantine:
        facts += [("kept at", receipt.quarantine)]
    if receipt.sha256:
        facts += [("sha256", receipt.sha256)]
    output.facts(facts)
    for reason in receipt.reasons:
        tell_reason(output, reason, style="red" if receipt.status is ReceiptStatus.QUARANTINED else "yellow")
    for note in receipt.notes:
        tell_reason(output, note, style="dim")


def tell_reason(output: Output, reason: dict[str, Any], *, style: str) -> None:
    """Tell one reason: its code, what is wrong and where, and what to do."""
    rows = reason.get("rows") or []
    output.say(f"  {reason['code']}: {reason['message']}", style=style)
    if rows:
        output.say(f"      line{'s' if len(rows) > 1 else ''} {_lines(rows, reason.get('count') or len(rows))}")
    if reason.get("fix"):
        output.say(f"      {reason['fix']}")


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
            "-" if entry["std"] is None else f"± {entry['std']:.4f}",
        )
        for entry in entries
    ]
    output.table(("", "model", "settings", metric, "over the folds"), rows)


def tell_gates(output: Output, title: str, gates: Sequence[dict[str, Any]], status: str) -> None:
    """Tell each gate with its evidence."""
    output.heading(f"gates  {title} {status}")
    rows = [("passed" if gate["passed"] else "rejected", gate["gate"], gate["message"]) for gate in gates]
    output.table(("", "gate", "evidence"), rows)


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
        output.say(f"look, and answer: serin releases {release.model}")
    else:
        output.say(f"{name} was not released ({release.status}): {release.reason}", style="red")


def tell_lineage(output: Output, lineage: dict[str, Any]) -> None:
    """Tell where a version comes from and what became of it."""
    run = lineage["run"]
    output.heading(
        f"{lineage['model']}@{lineage['version']}  {'champion' if lineage['is_champion'] else lineage['status']}"
    )
    for upload in lineage["uploads"]:
        output.heading(f"upload  {upload.get('key', '-')}")
        output.facts(
            [
                ("received", moment(upload.get("received_at"))),
                ("upload sha256", upload.get("upload_sha256")),
                ("receipt", upload.get("receipt")),
                ("dataset", f"{upload['dataset']}, {upload.get('rows', 0):,} rows"),
                ("data sha256", upload.get("data_sha256")),
            ]
        )
    output.heading(f"run  {run['id']}")
    output.facts(
        [
            ("why", run["reason"]),
            ("started", moment(run["started_at"])),
            ("ended", moment(run["ended_at"])),
            ("chosen", f"{run['chosen']}, on {run['rows']:,} rows"),
            ("contract sha256", run["contract_sha256"]),
            ("code sha256", run["code_sha256"]),
        ]
    )
    tell_gates(output, f"{lineage['model']}@{lineage['version']}", lineage["gates"], lineage["status"])
    output.heading("artifacts")
    output.facts([*lineage["files"].items(), ("manifest.json", lineage["manifest_sha256"])])
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
        rows = [(moment(entry["at"]), entry["move"], entry["actor"], entry["reason"]) for entry in lineage["history"]]
        output.table(("when", "move", "who", "why"), rows)


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
    facts = [(name, f"{value:+.4g}") for name, value in shown]
    output.facts([*facts, (f"{len(others)} others", f"{sum(others):+.4g}")] if others else facts)


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


def tell_batch(output: Output, account: dict[str, Any]) -> None:
    """Tell what became of every row of a batch."""
    rows, version = account["rows"], account["version"]
    by = f"{account['model']}@{version}" if version else "nobody"
    output.say(
        f"{account['status']}: of {rows:,} rows {account['answered']:,} answered by {by}, "
        f"{account['rejected']:,} set aside, {account['failed']:,} failed",
        style="green" if account["status"] == "done" else "red",
    )
    for file in account["files"]:
        for reason in file["reasons"]:
            output.say(f"  {file['key']}: {reason['code']}: {reason['message']}")
            output.say(f"    {reason['fix']}")
        if file.get("rejected_rows"):
            output.say(f"  the rows set aside, each with why: {file['rejected_rows']}")
    if is_unfinished(account):
        output.say(f"try again what failed: serin batch {account['model']} --again {account['job']}")


def tell_drift(output: Output, report: Report) -> None:
    """Tell how far what a version is asked has moved, the predictions first and then the features, the worst first, and
    of these what the model leans on most."""
    output.heading(f"{report.model}@{report.version}  {report.verdict}")
    output.say(report.reason)
    output.say(f"{report.rows:,} rows from {moment(report.since)} to {moment(report.until)}")
    output.table(
        ("", "column", "verdict", "effect", "importance", "missing then", "now", "what moved"),
        [
            (kind, shift.column, shift.verdict, shift.effect, shift.importance, *shift.missing, shift.detail)
            for kind, shifts in (("prediction", report.predictions), ("feature", report.features))
            for shift in shifts
        ],
    )
    if report.left_out:
        output.say(f"not compared, for captures hide them: {', '.join(report.left_out)}", style="yellow")
