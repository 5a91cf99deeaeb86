"""What may a gate ask, and how is it written?

roc_auc >= 0.75                      a metric on the hold-out, above or below a threshold
beats baseline by 0.02               better than always giving the commonest answer
at most 1% worse than champion       so much worse than champion and anchor it may look, in their own value
at most 0.005 worse than champion    the same, in the metric's unit
beats champion by 0.01               certainly better than the version that answers now
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from serin.contract.metrics import METRICS, Task, metrics_of
from serin.contract.notation import NUMBER

NOT_COMPARABLE = "cannot be compared"  # so the evidence of a gate begins that a person must decide
_THRESHOLD = re.compile(rf"(?P<metric>[a-z0-9_]+)\s*(?P<operator>>=|<=)\s*(?P<number>{NUMBER})")
_COMPARISON = re.compile(rf"beats\s+(?P<rival>baseline|champion)\s+by\s+(?P<number>{NUMBER})\s*(?P<percent>%?)")
_MARGIN = re.compile(rf"at\s+most\s+(?P<number>{NUMBER})\s*(?P<percent>%?)\s+worse\s+than\s+champion")
_PLANNED = re.compile(r"(slice\b|overfit\b|p\d+ latency\b)")


class Rival(StrEnum):
    BASELINE = "baseline"
    CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class Threshold:
    """`metric >= bound`, or `<=` where `is_floor` is false, on the hold-out."""

    text: str
    metric: str
    is_floor: bool
    bound: float


@dataclass(frozen=True, slots=True)
class Beats:
    """The training metric is better than the rival's by `margin`: in its unit, or as a share of the rival's value.

    Of a champion it must be so by more than chance.
    """

    text: str
    rival: Rival
    margin: float
    is_relative: bool


@dataclass(frozen=True, slots=True)
class NotWorse:
    """The training metric is worse than champion's and anchor's by at most `margin`, at least 0; as for Beats."""

    text: str
    margin: float
    is_relative: bool


Gate = Threshold | Beats | NotWorse


def is_of_champion(gate: Gate) -> bool:
    """Tell whether a gate compares with versions before."""
    return isinstance(gate, NotWorse) or (isinstance(gate, Beats) and gate.rival is Rival.CHAMPION)


def parse_gate(text: str, task: Task) -> Gate:
    """Read one gate. Raises ValueError, saying what is allowed, where it is none."""
    stripped = text.strip()
    if match := _THRESHOLD.fullmatch(stripped):
        name = match["metric"]
        if name not in metrics_of(task):
            known = "is for another task" if name in METRICS else "is not a known metric"
            raise ValueError(f"{name} {known}; for {task} there are {', '.join(metrics_of(task))}")
        return Threshold(stripped, name, match["operator"] == ">=", float(match["number"]))
    if match := _COMPARISON.fullmatch(stripped):
        number, is_relative = float(match["number"]), bool(match["percent"])
        rival, margin = Rival(match["rival"]), number / 100 if is_relative else number
        if rival is Rival.CHAMPION and margin < 0:  # as contracts said it before there was a word for it
            shown = f"{-number:g}{match['percent']}"
            return NotWorse(f"at most {shown} worse than champion", -margin, is_relative)
        return Beats(stripped, rival, margin, is_relative)
    if match := _MARGIN.fullmatch(stripped):
        number, is_relative = float(match["number"]), bool(match["percent"])
        if number < 0:
            raise ValueError(f"{stripped!r}: a margin is 0 or more")
        return NotWorse(stripped, number / 100 if is_relative else number, is_relative)
    if _PLANNED.match(stripped):
        raise ValueError(f"{stripped!r}: this kind of gate is not supported yet")
    raise ValueError(
        f"{stripped!r} is no gate; one reads 'accuracy >= 0.8', 'beats baseline by 0.02' "
        "or 'at most 1% worse than champion'"
    )
