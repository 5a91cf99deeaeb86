"""How far has what is served moved from what a version was trained on? An effect size and a verdict for each column.

Numbers are compared on the tenths of the reference, text on its more frequent categories, and what is missing is a
cell of its own. A column has drifted where its effect is large *and* could hardly come from chance: a window that is
drawn from the reference itself differs from it too, and the less it holds the more. Who is told of it: `check.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from serin.profile.profile import Categories, Numbers, Profile, bin_bounds

LEAST_ROWS = 100  # with fewer on either side, chance alone moves a column by more than is called some
MOVED_FROM, DRIFTED_FROM = 0.1, 0.2  # the effect of a column, in nats, from which it counts as either
FALSE_ALARMS = 0.0001  # of the checks of what is steady, all columns together: by the hour, one a year
CELLS = 10
LEAST_CELLS = 5  # of numbers that have as many; in fewer, a column may move far and stay where it was
MOST_CATEGORIES = 20
LEAST_EXPECTED = 5  # in a cell; Cochran (1954), Biometrics 10, for tests by chi-square

Counts = NDArray[np.int64]
Column = Numbers | Categories


class DriftVerdict(StrEnum):
    """INTEGRITY: the reference had one value or none, so that drift cannot be told, and the window has others."""

    NOT_ENOUGH = "not enough"
    STEADY = "steady"
    MOVED = "moved"
    INTEGRITY = "integrity"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one column has moved. effect: in nats, less what chance alone would give; None where there is too little.

    missing: shares, in the reference and now. detail: what moved most, in words. importance: how much the model leans
    on it, None where that is not known.
    """

    column: str
    verdict: DriftVerdict
    effect: float | None
    missing: tuple[float, float]
    detail: str
    importance: float | None = None


@dataclass(frozen=True, slots=True)
class DriftReport:
    """How a window compares with its reference. features, predictions: as `compare_columns` orders them.

    since, until: ISO times. rows: captured rows in the window. is_stale: older than the contract's max_age.
    left_out: features that captures do not hold as they are.
    """

    model: str
    version: int
    since: str
    until: str
    rows: int
    verdict: DriftVerdict
    reason: str
    features: tuple[Shift, ...]
    predictions: tuple[Shift, ...]
    left_out: tuple[str, ...] = ()
    is_stale: bool = False

    @property
    def largest_effect(self) -> float:
        return max((shift.effect or 0.0 for shift in (*self.predictions, *self.features)), default=0.0)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False).encode()


def compare_columns(
    reference: Profile, window: Profile, *, tests: int, importances: Mapping[str, float] | None = None
) -> tuple[Shift, ...]:
    """Compare the columns that both have: what drifted first, and of that what the model leans on most.

    tests: how many columns one check compares in all. importances: by column, where they are known.
    """
    both = [name for name in window.columns if type(window.columns[name]) is type(reference.columns.get(name))]
    shifts = [
        replace(
            compare_column(name, reference.columns[name], window.columns[name], tests=tests),
            importance=(importances or {}).get(name),
        )
        for name in both
    ]
    return tuple(sorted(shifts, key=_order))


def _order(shift: Shift) -> tuple[int, float, float, str]:
    worst_first = (
        DriftVerdict.DRIFTED,
        DriftVerdict.INTEGRITY,
        DriftVerdict.MOVED,
        DriftVerdict.STEADY,
        DriftVerdict.NOT_ENOUGH,
    )
    return worst_first.index(shift.verdict), -(shift.importance or 0.0), -(shift.effect or 0.0), shift.column


def compare_column(name: str, reference: Column, window: Column, *, tests: int) -> Shift:
    """Compare one column of the window with the reference."""
    before, now = _cells(reference, window)
    missing = _missing_share(reference), _missing_share(window)
    if min(before.sum(), now.sum()) < LEAST_ROWS:
        return Shift(
            name, DriftVerdict.NOT_ENOUGH, None, missing, f"{now.sum():,} rows, {before.sum():,} to compare with"
        )
    index = population_stability_index(before, now)
    noise, most_noise = index_by_chance(before, now, false_alarms=FALSE_ALARMS / tests)
    effect = max(index - noise, 0.0)
    verdict, detail = DriftVerdict.STEADY, _detail(reference, window)
    if index > most_noise and effect >= MOVED_FROM:
        if constant := _constant(reference):
            return Shift(name, DriftVerdict.INTEGRITY, None, missing, f"{constant} in training, and is not any more")
        verdict = DriftVerdict.DRIFTED if effect >= DRIFTED_FROM else DriftVerdict.MOVED
    elif _is_too_coarse(reference, window):
        return Shift(name, DriftVerdict.NOT_ENOUGH, None, missing, f"{detail}; the bins are too coarse to tell more")
    return Shift(name, verdict, round(effect, 6), missing, detail)


def population_stability_index(reference: Counts, current: Counts) -> float:
    """Measure how far one column has moved, in nats.

    reference, current: counts over the same cells. Each cell gets half a count, so that an empty one stays finite.
    Above 0.1 is commonly read as some shift, above 0.2 as a large one.
    Source: Siddiqi, Credit Risk Scorecards (2006), ch. 9; for the half count Jeffreys' prior.
    """
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (reference, current))
    return float(np.sum((q - p) * np.log(q / p)))


def index_by_chance(reference: Counts, current: Counts, *, false_alarms: float) -> tuple[float, float]:
    """Tell the index that two samples of one population have on the mean, and the one that few exceed.

    false_alarms: the share that exceeds it. The index times n·m / (n + m) follows a chi-square of one degree less than
    there are cells: Yurdakul, Statistical Properties of the Population Stability Index (2018). Its quantile is that of
    Wilson and Hilferty, The Distribution of Chi-Square (1931).
    """
    freedom = len(reference) - 1
    if not freedom:
        return 0.0, 0.0
    scale = 1 / reference.sum() + 1 / current.sum()
    spread = 2 / (9 * freedom)
    quantile = freedom * (1 - spread + NormalDist().inv_cdf(1 - false_alarms) * math.sqrt(spread)) ** 3
    return float(freedom * scale), float(quantile * scale)


def sum_up(features: tuple[Shift, ...], predictions: tuple[Shift, ...]) -> tuple[DriftVerdict, str]:
    """Say how a version is doing in all, and why."""
    shifts = (*predictions, *features)
    drifted = [shift.column for shift in shifts if shift.verdict is DriftVerdict.DRIFTED]
    if drifted:
        return DriftVerdict.DRIFTED, f"drifted: {', '.join(drifted)}"
    if not shifts or all(shift.verdict is DriftVerdict.NOT_ENOUGH for shift in shifts):
        return DriftVerdict.NOT_ENOUGH, f"too few rows to tell: at least {LEAST_ROWS} are needed, in training and now"
    moved = [shift.column for shift in shifts if shift.verdict is DriftVerdict.MOVED]
    less = f"moved, but by less than counts as drift: {', '.join(moved)}" if moved else ""
    odd = [f"{shift.column} {shift.detail}" for shift in shifts if shift.verdict is DriftVerdict.INTEGRITY]
    if odd:
        look = "no drift can be told of that; look where it comes from"
        return DriftVerdict.INTEGRITY, "; ".join(filter(None, (*odd, look, less)))
    if moved:
        return DriftVerdict.MOVED, less
    untold = [shift.column for shift in shifts if shift.verdict is DriftVerdict.NOT_ENOUGH]
    others = f"; too little is known of {', '.join(untold)}" if untold else ""
    return DriftVerdict.STEADY, f"nothing moved by more than chance explains{others}"


def _cells(reference: Column, window: Column) -> tuple[Counts, Counts]:
    """Count both over the same cells, the missing last; cells that both leave empty are left out."""
    if isinstance(reference, Numbers) and isinstance(window, Numbers):
        fineness = min(reference.fineness, window.fineness)
        cells = _number_cells(reference.bins_at(fineness), window.bins_at(fineness))
    elif isinstance(reference, Categories) and isinstance(window, Categories):
        cells = _category_cells(reference, window)
    else:
        raise TypeError("a column of numbers cannot be compared with one of text")
    pairs = [pair for pair in (*cells, (reference.missing, window.missing)) if any(pair)]
    before, now = np.array(pairs or [(0, 0)], dtype=np.int64).T
    return before, now


def _number_cells(reference: Mapping[int, int], window: Mapping[int, int]) -> list[tuple[int, int]]:
    """Join fine bins to cells that hold about a tenth of the reference each."""
    total = sum(reference.values())
    if not total:
        return [(0, sum(window.values()))]
    cells = [[0, 0] for _ in range(CELLS)]
    below = 0
    for index in sorted({*reference, *window}):
        here = reference.get(index, 0)
        cell = cells[min(int((below + here / 2) / total * CELLS), CELLS - 1)]
        cell[0] += here
        cell[1] += window.get(index, 0)
        below += here
    return [(before, now) for before, now in cells]


def _constant(column: Column) -> str:
    """Say of a column that has no spread what it always was; empty where it has some."""
    if not _present(column):
        return "was always missing"
    if isinstance(column, Numbers):
        return f"was always {column.minimum:.10g}" if column.minimum == column.maximum else ""
    return f"was always {next(iter(column.counts))}" if len(column.counts) == 1 and not column.others else ""


def _is_too_coarse(reference: Column, window: Column) -> bool:
    """Tell whether the coarser bins of one hide how the numbers of the other lie: most of them in a few bins.

    So it is with what was summarised before bins grew finer, and where values far out leave the others few bins.
    """
    if not isinstance(reference, Numbers) or not isinstance(window, Numbers):
        return False
    fineness = min(reference.fineness, window.fineness)
    return any(
        _cells_in_use(side.bins_at(fineness)) < LEAST_CELLS <= _cells_in_use(side.bins) for side in (reference, window)
    )


def _cells_in_use(bins: Mapping[int, int]) -> int:
    return sum(before > 0 for before, _ in _number_cells(bins, {}))


def _category_cells(reference: Categories, window: Categories) -> list[tuple[int, int]]:
    """Keep the categories that are frequent enough in the reference; the rest are one cell, unseen ones among them."""
    before, now = _present(reference), _present(window)
    least = LEAST_EXPECTED * max(1.0, before / max(now, 1))  # expected in the smaller sample
    frequent = sorted(reference.counts, key=lambda name: (-reference.counts[name], name))[:MOST_CATEGORIES]
    kept = [
        (reference.counts[name], window.counts.get(name, 0)) for name in frequent if reference.counts[name] >= least
    ]
    return [*kept, (before - sum(pair[0] for pair in kept), now - sum(pair[1] for pair in kept))]


def _present(column: Column) -> int:
    return sum(column.bins.values()) if isinstance(column, Numbers) else sum(column.counts.values()) + column.others


def _missing_share(column: Column) -> float:
    rows = _present(column) + column.missing
    return round(column.missing / rows, 6) if rows else 0.0


def _detail(reference: Column, window: Column) -> str:
    """Say what moved: the median of numbers, of text the category whose share changed most."""
    before, now = _present(reference), _present(window)
    if not before or not now:
        return ""
    if isinstance(reference, Numbers) and isinstance(window, Numbers):
        return f"median {_median(reference):,.4g} → {_median(window):,.4g}"
    assert isinstance(reference, Categories)
    assert isinstance(window, Categories)  # as compare_column saw to
    names = sorted({*reference.counts, *window.counts})
    shares = {name: (reference.counts.get(name, 0) / before, window.counts.get(name, 0) / now) for name in names}
    if not shares:
        return ""
    most = max(shares, key=lambda name: abs(shares[name][1] - shares[name][0]))
    return f"{most} {shares[most][0]:.1%} → {shares[most][1]:.1%}"


def _median(numbers: Numbers) -> float:
    """The middle of the bin that holds the median."""
    half, seen = _present(numbers) / 2, 0
    for index, count in sorted(numbers.bins.items()):
        seen += count
        if seen >= half:
            low, high = bin_bounds(index, numbers.fineness)
            return (low + high) / 2
    return math.nan
