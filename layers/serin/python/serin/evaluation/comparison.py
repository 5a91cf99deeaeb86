"""How does a version compare with a rival, on honest rows from which neither learned?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from serin.contract.metrics import Metric
from serin.contract.serving_spec import label_text
from serin.data.storage import load_columns
from serin.evaluation.estimates import Interval, percentile_interval, resampled_weights
from serin.evaluation.holdout import Artifact, CannotRun, HoldoutScores, Score, stack
from serin.training.measure import Floats, Measure
from serin.training.rival import ROW, Mode, Rival

ROUNDING = 1e-12  # of a value; two that are nearer to each other are the same, as of a model that was fitted twice


@dataclass(frozen=True, slots=True)
class Comparison:
    """A version beside a rival on the same honest rows.

    reason: why they cannot be compared; then the rest says nothing. better: by how much, in the metric's unit; se: the
    standard error of that. z: how many of them make it certain.
    """

    rival: Rival
    reason: str = ""
    value: float = math.nan
    other: float = math.nan
    better: float = math.nan
    se: float = math.nan
    interval: Interval | None = None
    rows: int = 0
    z: float = math.inf

    @property
    def is_gain(self) -> bool:
        return not self.reason and self.se > 0 and self.better > self.z * self.se

    @property
    def name(self) -> str:
        role = "champion" if self.rival.is_champion else "anchor"
        how = ", fitted again" if self.rival.mode is Mode.REFITTED else ""
        return f"the {role}'s (version {self.rival.version}{how})"

    @property
    def why(self) -> str:
        return f"; fitted again on the same rows, since {self.rival.reason}" if self.rival.mode is Mode.REFITTED else ""


def compare_with(
    rival: Rival,
    rival_model: Artifact | None,
    judged: HoldoutScores,
    metric: Metric,
    units: NDArray[np.int64],
    level: float,
    score: Score,
) -> Comparison:
    """Measure a version and a rival on the rows that the rival's table names."""
    if rival.mode is Mode.NONE or rival.table is None:
        return Comparison(rival, rival.reason or "its rows were not prepared")
    columns = load_columns(rival.table)
    rows = columns[ROW].astype(np.int64)
    ours = judged.at(rows)
    if rival.mode is Mode.ASKED:
        if rival_model is None:
            return Comparison(rival, "its judged model is gone")
        try:
            theirs = HoldoutScores.run(rival_model, columns, score)
        except CannotRun as error:
            return Comparison(rival, str(error))
    else:
        labels = [label_text(label) for label in judged.spec.classes]
        order = [rival.labels.index(label) if label in rival.labels else -1 for label in labels] or [0]
        scores = np.column_stack([stack(columns, "score"), np.zeros(len(rows))])[:, order]
        theirs = HoldoutScores(judged.spec, scores, ours.truth)
    if not np.isfinite(theirs.scores).all():
        return Comparison(rival, "its answers are not finite on these rows")
    return compare_scores(rival, ours.weighted(metric), theirs.weighted(metric), metric, units[rows], level)


def compare_scores(
    rival: Rival, ours: Measure, theirs: Measure, metric: Metric, units: NDArray[np.int64], level: float
) -> Comparison:
    """Compare two measures on the same rows. units: of each row. level: the chance of a gain where there is none."""
    ones = np.ones(len(units))
    value, other = ours(ones), theirs(ones)
    if not (np.isfinite(value) and np.isfinite(other)):
        return Comparison(rival, f"{metric.name} is undefined on the {len(units):,} rows that both can be asked on")

    def improvement(weights: Floats) -> float:
        one, another = ours(weights), theirs(weights)
        return 0.0 if abs(one - another) <= ROUNDING * abs(another) else metric.improvement(one, another)

    better = improvement(ones)
    samples = np.array([improvement(weights) for weights in resampled_weights(units)])
    defined = samples[np.isfinite(samples)]
    return Comparison(
        rival,
        value=value,
        other=other,
        better=better,
        se=float(defined.std()) if len(defined) else 0.0,
        interval=percentile_interval(samples, better, units),
        rows=len(units),
        z=NormalDist().inv_cdf(1 - level),
    )
