"""How sure is a figure that was measured on some rows? By samples of them, drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from serin.training.measure import Floats

RESAMPLES = 300
CONFIDENCE = 0.95
LEAST_DEFINED = 0.95  # the share of samples that must define a metric; a class of one or two rows is missing in more

Interval = tuple[float, float]


def resampled_weights(units: NDArray[np.int64]) -> Iterator[Floats]:
    """Draw the same samples each time: whole units, as the rows of one are not independent."""
    random = np.random.default_rng(0)
    place = np.unique(units, return_inverse=True)[1]
    count = int(place.max()) + 1
    for _ in range(RESAMPLES):
        yield np.bincount(random.integers(0, count, count), minlength=count)[place].astype(np.float64)


def percentile_interval(values: Floats, value: float, units: NDArray[np.int64]) -> Interval | None:
    """Bootstrap percentiles around the value; None where all samples give the same, or too few define it."""
    count = len(np.unique(units))
    defined = values[np.isfinite(values)]
    if count < 2 or len(defined) < RESAMPLES * LEAST_DEFINED or np.ptp(defined) == 0:
        return None
    tail = tail_share(count)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return min(float(low), value), max(float(high), value)


def tail_share(units: int) -> float:
    """Say which share of the samples to leave out at each end, for the interval to hold with few units too.

    Plain percentiles are too narrow then, as the normal distribution is beside Student's. units: at least 2.
    Source: Hesterberg, What Teachers Should Know about the Bootstrap (2015), the expanded percentile interval; the
    quantile of Student's distribution by Abramowitz and Stegun, 26.7.5.
    """
    normal, freedom = NormalDist(), units - 1
    z = normal.inv_cdf((1 + CONFIDENCE) / 2)
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return normal.cdf(-t * (units / freedom) ** 0.5)


def in_words(interval: Interval | None) -> str:
    if interval is None:
        return " (how sure that is, these rows do not tell)"
    return f" (95%: {interval[0]:.4g} to {interval[1]:.4g})"
