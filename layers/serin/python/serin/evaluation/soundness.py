"""What is asked of every version, whatever its contract says?

Do the artifacts answer as scikit-learn did, do answers depend on the row at all, and is the served model what the
judged one promises? And where it promises so: do its intervals or sets hold the truth as often as they say?
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from serin.contract.serving_spec import Conformal
from serin.evaluation.estimates import in_words, percentile_interval, resampled_weights
from serin.evaluation.gate_result import GateResult
from serin.evaluation.holdout import HoldoutScores
from serin.training.measure import Floats

PARITY_TOLERANCE = 1e-5
LIKENESS = 1.5  # times the difference that another seed makes
COVERAGE_SLACK = 0.05  # what drift between calibration and hold-out may take from a coverage


def ask_likeness(judged: HoldoutScores, served: Floats, again: Floats) -> GateResult:
    """Ask whether the served model differs from the judged no more than models of its kind differ from each other.

    again: answers of one with another seed, fitted on as many rows drawn anew.
    """
    rows = len(served)
    if judged.spec.classes:
        own = float((judged.scores.argmax(1) != judged.truth).mean())
        flips, usual = (float((judged.scores.argmax(1) != other.argmax(1)).mean()) for other in (served, again))
        noise = 3 * math.sqrt(usual * (1 - usual) / rows) + 2 / rows
        message = (
            f"it gives another label than the judged one to {flips:.1%} of the rows; another seed does to {usual:.1%}"
        )
    else:
        own = float(np.sqrt(((judged.scores[:, 0] - judged.truth) ** 2).mean()))
        flips, usual = (float(np.sqrt(((judged.scores - other) ** 2).mean())) for other in (served, again))
        noise = usual * 3 / math.sqrt(rows) + 1e-9 * float(np.abs(judged.scores).max())
        message = f"its values are off the judged one's by {flips:.3g}, root mean square; another seed's by {usual:.3g}"
    # Where models of its kind hardly differ, a tenth of its error is little.
    most = max(LIKENESS * usual, own / 10) + noise
    return GateResult("served like judged", flips <= most, flips, most, None, rows, message)


def ask_parity(gate: str, scores: Floats, expected: Floats) -> GateResult:
    """Compare with scikit-learn's answers: absolutely for probabilities, for values by the size that they have.

    What passes can give another label only to a row whose two best classes are that close.
    """
    rows = len(scores)
    if scores.shape != expected.shape:
        message = f"the model answers {scores.shape[1]} scores a row, and scikit-learn {expected.shape[1]}"
        return GateResult(gate, False, None, PARITY_TOLERANCE, None, rows, message)
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        message = f"row {row}: the model gives no finite number, scikit-learn {_plain(expected[row])}"
        return GateResult(gate, False, None, PARITY_TOLERANCE, None, rows, message)
    size = np.ones_like(expected) if expected.shape[1] > 1 else np.maximum(np.abs(expected), np.abs(expected).mean())
    difference = (np.abs(scores - expected) / np.where(size > 0, size, 1.0)).max(axis=1)
    worst = int(difference.argmax())
    largest = float(difference[worst])
    message = (
        f"the ONNX file and scikit-learn differ by at most {largest:.1e}, in row {worst}: "
        f"{_plain(scores[worst])} and {_plain(expected[worst])}"
    )
    return GateResult(gate, largest <= PARITY_TOLERANCE, largest, PARITY_TOLERANCE, None, rows, message)


def ask_variation(scores: Floats) -> GateResult:
    finite = scores[np.isfinite(scores).all(axis=1)]
    spread = float(np.ptp(finite, axis=0).max()) if len(finite) else 0.0
    least = 1e-9 * float(np.abs(finite).max()) if len(finite) else 0.0
    passed = spread > least
    message = f"answers differ by up to {spread:.3g}" if passed else "every row gets the same answer"
    return GateResult("answers vary", passed, spread, least, None, len(scores), message)


def ask_coverage(judged: HoldoutScores, promised: Conformal, units: NDArray[np.int64]) -> GateResult:
    """Ask how often the truth lies in the interval or set. Fails where it is surely less than promised."""
    scores, truth = judged.scores, judged.truth
    if judged.spec.classes:
        of_truth = scores[np.arange(len(truth)), truth]
        is_covered = (truth >= 0) & (of_truth >= promised.bound)
    else:
        is_covered = np.abs(truth - scores[:, 0]) <= promised.bound

    def covered(weights: Floats) -> float:
        return float(weights @ is_covered / weights.sum())

    value, least = covered(np.ones(len(truth))), promised.coverage - COVERAGE_SLACK
    samples = np.array([covered(weights) for weights in resampled_weights(units)])
    interval = percentile_interval(samples, value, units)
    message = (
        f"the truth lies in the {'set' if judged.spec.classes else 'interval'} of {value:.1%} of the rows"
        f"{in_words(interval)}; {promised.coverage:.4g} is promised, calibrated on {promised.rows:,} other rows"
    )
    passed = (interval[1] if interval else value) >= least
    return GateResult("coverage", passed, value, least, interval, len(truth), message)


def _plain(values: Floats) -> str:
    return ", ".join(f"{value:.9g}" for value in values[:5])
