"""How is a drill told? As a table on a terminal, and as a page to keep."""

from __future__ import annotations

from collections.abc import Sequence

from serin.cli.injections import Drilled
from serin.cli.show import Output

_COLUMNS = ("what goes wrong", "ended", "failed", "to weight 0", "took")
_HOW_TO_READ = """*Failed* are requests. The champion alone had answered each row before: so a request that failed was
failed by the trial. *To weight 0* counts from the end of the minute of the plan, here a second, that held enough
evidence of a breach; whether an answer was wrong is judged only once its captures arrived and its feedback had its
time. *Took* is the whole release."""


def tell_drill(output: Output, done: Sequence[Drilled]) -> None:
    """Tell what came of each injection in a table, and of those that did not pass what is wrong."""
    output.heading(_sum_up(done))
    output.table(
        ("", *_COLUMNS), [("failed" if drilled.objections else "passed", *_cells(drilled)) for drilled in done]
    )
    for drilled in done:
        for objection in drilled.objections:
            output.say(f"  {drilled.injection.what}: {objection}", style="red")


def write_page(model: str, at: str, seconds: float, done: Sequence[Drilled]) -> str:
    """Write the report for people, as Markdown."""
    rows = [("", *_COLUMNS), ("---",) * (len(_COLUMNS) + 1)]
    rows += [("**failed**" if drilled.objections else "passed", *_cells(drilled)) for drilled in done]
    lines = [
        f"# Drill of {model}, {at}",
        "",
        f"{_sum_up(done)}. It took {seconds:.0f} s on a twin: a champion was trained, and asked without a pause while "
        "one release came after the other, each with something wrong, and each by a plan that gives its challenger "
        "half of what is asked.",
        "",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        _HOW_TO_READ,
    ]
    for drilled in done:
        outcome = drilled.outcome
        lines += [
            "",
            f"## {drilled.injection.what[:1].upper()}{drilled.injection.what[1:]}",
            "",
            f"- What was done: {drilled.injection.how}.",
            f"- What must be: {drilled.injection.must}.",
            f"- What came: {outcome.status}. {outcome.reason}.",
            f"- Version {outcome.champion[0]} was the champion, version {outcome.champion[1]} is. The challenger, "
            f"version {outcome.version}, gave {outcome.answers:,} answers.",
        ]
        if drilled.injection.drifts:
            lines.append(f"- The drift report names: {', '.join(outcome.drifted) or 'nothing'}.")
        if outcome.last_seconds is not None:
            lines.append(f"- Its last answer came {outcome.last_seconds:.1f} s after its weight was 0.")
        lines += [f"- **Not as it must be**: {objection}." for objection in drilled.objections]
    return "\n".join(lines) + "\n"


def _sum_up(done: Sequence[Drilled]) -> str:
    passed = sum(not drilled.objections for drilled in done)
    return f"{passed} of {len(done)} passed"


def _cells(drilled: Drilled) -> tuple[str, ...]:
    outcome = drilled.outcome
    safe = "-" if outcome.safe_seconds is None else f"{outcome.safe_seconds:.1f} s"
    failed = f"{outcome.failed:,} of {outcome.asked:,}"
    return drilled.injection.what, outcome.status, failed, safe, f"{outcome.trial_seconds:.1f} s"
