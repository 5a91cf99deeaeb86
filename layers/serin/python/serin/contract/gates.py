"""What may a gate ask, and how is it written?

roc_auc >= 0.75               a metric on the hold-out, above or below a threshold
beats baseline by 0.02        better than always giving the commonest answer
beats champion by -0.005      at most so much worse than the version that answers now
beats champion by -1%         the same, relative to the champion's own value
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from serin.contract.metrics import METRICS, Task, metrics_of

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_THRESHOLD = re.compile(rf"(?P<metric>[a-z0-9_]+)\s*(?P<operator>>=|<=)\s*(?P<number>{NUMBER})")
_COMPARISON = re.compile(rf"beats\s+(?P<rival>baseline|champion)\s+by\s+(?P<number>{NUMBER})\s*(?P<percent>%?)")
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
    """The training metric is better than the rival's by `margin`: in its unit, or as a share of the rival's value."""

    text: str
    rival: Rival
    margin: float
    is_relative: bool


Gate = Threshold | Beats


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
        return Beats(stripped, Rival(match["rival"]), number / 100 if is_relative else number, is_relative)
    if _PLANNED.match(stripped):
        raise ValueError(f"{stripped!r}: this kind of gate is not supported yet")
    raise ValueError(
        f"{stripped!r} is no gate; one reads 'accuracy >= 0.8', 'beats baseline by 0.02' or 'beats champion by -1%'"
    )
