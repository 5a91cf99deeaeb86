"""Why this score? What each feature contributed to the difference between a row's score and the usual row's.

A path goes from the usual row to the one that is explained, taking over one feature after the other; what the score
moves at each step is that feature's. So every path adds up exactly, and so does the mean over paths. It estimates the
Shapley value: Štrumbelj and Kononenko, Explaining prediction models and individual predictions with feature
contributions (2014); Castro, Gómez and Tejada, Polynomial calculation of the Shapley value based on sampling (2009);
each order is also walked backwards, which cancels a part of the error: Mitchell et al., Sampling Permutations for
Shapley Value Estimation (2022).

Cost: PATHS * features more rows through the model for each row that is explained, so that there is a limit to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.contract.spec import ServingSpec
from serin.errors import Refused, TooLarge
from serin.serving.encode import Arrays, Encoded

MAX_EXPLAINED_ROWS = 20
PATHS = 16

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Explained:
    """What explains scores. base: (n,), of the usual row; contributions: (n, features), in the order of spec.features.

    base + contributions.sum(axis=1) is the score explained: for regression the value; of two classes the probability of
    the positive one; of more that of the class predicted.
    """

    base: Floats
    contributions: Floats


def check_explainable(spec: ServingSpec, rows: int) -> None:
    """Raise Refused where the contract asks for no explanations, TooLarge where so many rows get none."""
    if spec.baseline is None:
        raise Refused(
            f"{spec.model} was trained without explanations: put serving: {{explain: true}} into its contract, "
            "and train it again",
            code="NOT_EXPLAINED",
        )
    if rows > MAX_EXPLAINED_ROWS:
        raise TooLarge(f"{rows:,} rows; at most {MAX_EXPLAINED_ROWS} are explained at once")


def explain(encoded: Encoded, scores: Floats, spec: ServingSpec, run: Callable[[Encoded], Floats]) -> Explained:
    """Explain scores by the model that gave them. run: scores rows; called once, with all rows of all paths.

    The same rows get the same explanation. Raises as `check_explainable`.
    """
    check_explainable(spec, len(encoded))
    assert spec.baseline is not None  # just checked
    features, rows = len(spec.features), len(encoded)
    place = _places(features)
    # has_own[path, step, feature]: whether the row's own value was taken over by then.
    has_own = place[:, None, :] < np.arange(features + 1)[:, None]
    numbers = len(spec.numeric)
    mixed = Arrays(
        _mix(has_own[..., :numbers], encoded.numeric, np.array(spec.baseline.numeric)),
        _mix(has_own[..., numbers:], encoded.codes, np.array(spec.baseline.codes, dtype=np.int64)),
    )
    shape = (rows, len(place), features + 1, scores.shape[1])
    explained = _explained_class(scores, spec)[:, None, None, None]
    along = np.take_along_axis(run(Encoded(mixed)).reshape(shape), explained, axis=3)[..., 0]
    moved = np.take_along_axis(np.diff(along, axis=2), np.broadcast_to(place, (rows, *place.shape)), axis=2)
    order = [feature.name for feature in (*spec.numeric, *spec.categories)]
    of_graph = moved.mean(axis=1)
    return Explained(along[:, 0, 0], of_graph[:, [order.index(feature.name) for feature in spec.features]])


def _places(features: int) -> NDArray[np.int64]:
    """At which step each feature has its turn, per path: half of them at random, half these backwards."""
    random = np.random.default_rng(0)
    forward: NDArray[np.int64] = np.array([random.permutation(features) for _ in range(PATHS // 2)])
    return np.concatenate([forward, features - 1 - forward])


def _mix(has_own: NDArray[np.bool_], own: NDArray[Any], usual: NDArray[Any]) -> NDArray[Any]:
    mixed = np.where(has_own, own[:, None, None, :], usual)
    return mixed.reshape(math.prod(mixed.shape[:3]), len(usual))


def _explained_class(scores: Floats, spec: ServingSpec) -> NDArray[np.intp]:
    likeliest: NDArray[np.intp] = scores.argmax(axis=1)
    return likeliest if spec.positive is None else np.full_like(likeliest, spec.positive)
