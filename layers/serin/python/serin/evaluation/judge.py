"""May a model version be released? Every gate is asked, with what serving uses, and gives its evidence.

Some questions come before the contract's own (soundness.py); those are asked of the judged model (ask_gates.py).
Versions are compared on honest rows alone, from which neither side learned (serin/training/rivals.py prepares them).
What is asked of one hold-out again and again is found by chance at last, so that certainty costs more with each time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from serin.contract.gates import Gate
from serin.contract.metrics import METRICS, Metric, metrics_of
from serin.data.storage import load_columns
from serin.evaluation.ask_gates import GateBench, is_not_comparable, unasked
from serin.evaluation.comparison import Comparison, compare_with
from serin.evaluation.gate_result import GateResult, GateVerdict
from serin.evaluation.holdout import Artifact, CannotRun, HoldoutScores, Score, score_here, stack, units_of
from serin.evaluation.soundness import PARITY_TOLERANCE, ask_coverage, ask_likeness, ask_parity, ask_variation
from serin.training.rival import Rival

FAMILY_LEVEL = 0.05  # the chance that any of all the asks of one hold-out finds a gain where there is none


def judge_version(
    judged_model: Artifact,
    served_model: Artifact,
    *,
    holdout_rows: bytes,
    holdout_predictions: bytes,
    gates: Sequence[Gate],
    metric: Metric,
    rivals: Sequence[tuple[Rival, Artifact | None]] = (),
    asked_before: float = 0.0,
    score: Score = score_here,
) -> GateVerdict:
    """Ask every gate of a version. What is wrong with the version or a rival is evidence, not an error.

    holdout_rows, holdout_predictions: as `Trained` has them. metric: what the version is compared by. rivals: the
    champion and the anchor, each with its judged model where that is to be asked; () where no version answers yet.
    asked_before: how often this hold-out was asked, in full.
    """
    columns, predictions = load_columns(holdout_rows), load_columns(holdout_predictions)
    rows = len(predictions["score_0"])
    try:
        judged = HoldoutScores.run(judged_model, columns, score)
        served = HoldoutScores.run(served_model, columns, score)
    except CannotRun as error:
        parity = GateResult("parity", False, None, PARITY_TOLERANCE, None, rows, str(error))
        return GateVerdict(False, (parity, *(unasked(gate, rows) for gate in gates)), {})
    expected = stack(predictions, "score")
    results = [
        ask_parity("parity", judged.scores, expected),
        ask_parity("parity of the served model", served.scores, stack(predictions, "served")),
        ask_variation(served.scores),
    ]
    if not all(result.passed for result in results[:2]):
        return GateVerdict(False, (*results, *(unasked(gate, rows) for gate in gates)), {})
    results.append(ask_likeness(judged, served.scores, stack(predictions, "again")))
    constant = np.broadcast_to(stack(predictions, "baseline"), judged.scores.shape)
    baseline = HoldoutScores(judged.spec, constant, judged.truth)
    units = units_of(columns, judged.spec.entity, rows)
    level = FAMILY_LEVEL * 6 / math.pi**2 / (1 + asked_before) ** 2
    comparisons = [
        compare_with(rival, rival_model, judged, metric, units, level, score) for rival, rival_model in rivals
    ]
    bench = GateBench(judged, baseline, metric, units, comparisons)
    metrics = {name: judged.measure(METRICS[name]) for name in metrics_of(metric.task)}
    if judged.spec.uncertainty:
        coverage = ask_coverage(judged, judged.spec.uncertainty, units)
        results.append(coverage)
        metrics["coverage"] = coverage.value or 0.0
    for gate in gates:
        results += bench.ask(gate)
    return _sum_up(results, comparisons, metrics)


def _sum_up(
    results: Sequence[GateResult], comparisons: Sequence[Comparison], metrics: Mapping[str, float]
) -> GateVerdict:
    unknown = [beside.reason for beside in comparisons if beside.reason and beside.rival.is_champion]
    failed = [result for result in results if not result.passed]
    is_held = bool(unknown) and bool(failed) and all(is_not_comparable(result) for result in failed)
    is_better = any(beside.is_gain for beside in comparisons if beside.rival.is_champion)
    return GateVerdict(
        passed=not failed,
        results=tuple(results),
        metrics={name: value for name, value in metrics.items() if np.isfinite(value)},
        held=unknown[0] if is_held else "",
        gain=is_better and all(beside.better >= 0 for beside in comparisons if not beside.reason),
    )
