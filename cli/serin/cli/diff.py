"""How is it told what differs between two versions?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from serin.cli.render import evidence, outcome
from serin.cli.show import Output
from serin.client.diff import HIDDEN
from serin.client.words import moment

SHOWN_ROWS = 20


def tell_diff(output: Output, diff: dict[str, Any]) -> None:
    """Tell what differs, a table a kind."""
    names = [f"{diff['model']}@{number}" for number in diff["versions"]]
    output.heading("  ".join(names))
    _tell_pairs(output, names, diff["facts"], _text)
    for kind in ("contract", "metrics"):
        if diff[kind]:
            output.heading(kind)
            _tell_pairs(output, names, diff[kind], _text)
    if diff["gates"]:
        output.heading("gates")
        _tell_pairs(output, names, diff["gates"], _verdict)
        output.say(f"  the evidence of each: serin why {names[0]}")
    if diff["replay"]:
        tell_replay(output, diff["model"], diff["replay"])


def _tell_pairs(
    output: Output, names: list[str], pairs: Mapping[str, list[Any]], as_cell: Callable[[Any], object]
) -> None:
    """Tell what two versions say differently, side by side."""
    rows = [(name, *map(as_cell, pair)) for name, pair in pairs.items()]
    output.table(("", *names), rows, is_folded=True)


def tell_replay(output: Output, model: str, replay: dict[str, Any]) -> None:
    """Tell how a challenger answered what the champion was asked: in all, by slice, and the first rows that flip."""
    window = replay["window"]
    champion, challenger = (f"{model}@{window[role]}" for role in ("champion", "challenger"))
    output.heading(f"replay  {challenger} on what {champion} was asked until {moment(window['until'])}")
    if replay["requests"]:
        output.say(
            f"{replay['disagreeing']:,} of {replay['requests']:,} requests get another answer, "
            f"{replay['faults']:,} get none"
        )
    if replay["finding"]:
        output.say(replay["finding"])
    if replay["slices"]:
        output.heading("by sensitive feature")
        output.table(
            ("feature", "value", "requests", "differ", "share", "95%"),
            [
                (
                    part["feature"],
                    part["value"],
                    part["requests"],
                    part["disagreeing"],
                    f"{part['share']:.1%}",
                    "{:.1%} to {:.1%}".format(*part["interval"]),
                )
                for part in replay["slices"]
            ],
        )
    shown = replay["flipped"][:SHOWN_ROWS]
    if shown:
        output.heading(
            "rows with another answer" + (f", the first {SHOWN_ROWS}" if len(replay["flipped"]) > len(shown) else "")
        )
    for row in shown:
        output.say(f"  {row['prediction']}, row {row['place']}")
        output.say(f"    {champion}: {_text(row['champion'])}  {challenger}: {_text(row['challenger'])}")
        output.say(f"    {_text(row['values'])}")
    if any(HIDDEN in row["values"].values() for row in shown):
        output.say("sensitive features are hidden; --show-values shows them", style="dim")


def _verdict(gate: dict[str, Any] | None) -> str:
    """Say whether a gate was passed, and what it measured; of one that was not, all that it says."""
    if gate is None:
        return "-"
    if not gate["passed"]:
        return f"{outcome(gate)}: {evidence(gate)}"
    return "passed" if gate["value"] is None else f"passed, {gate['value']:.4g}"


def _text(value: Any) -> object:
    """Write lists and mappings so that they fit into a cell."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {'-' if cell is None else cell}" for name, cell in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(f"{item:.4g}" if isinstance(item, float) else str(item) for item in value)
    return value
