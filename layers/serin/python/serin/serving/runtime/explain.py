"""Why this score? What each feature contributed to the difference between a row's score and the mean score.

The mean is that over the rows that the spec keeps. A path goes from one of them to the row that is explained, taking
over one feature after the other; what the score moves at each step is that feature's. So every path adds up, and so
does the mean over paths, up to the difference between the rows that paths start from and all that are kept: the
features share it by how far they moved. It estimates the Shapley value: Štrumbelj and Kononenko, Explaining prediction
models and individual predictions with feature contributions (2014); Castro, Gómez and Tejada, Polynomial calculation of
the Shapley value based on sampling (2009); each order is also walked backwards, which cancels a part of the error:
Mitchell et al., Sampling Permutations for Shapley Value Estimation (2022).

Cost: PATHS * features more rows through the model for each row that is explained, so that there is a limit to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.contract.serving_spec import ServingSpec
from serin.errors import Refused, TooLarge
from serin.serving.rows.encode import Arrays, Encoded

MAX_EXPLAINED_ROWS = 20
PATHS, PATHS_FROM_ONE = 24, 16  # from several rows more are needed, for these differ among each other
_NOTHING = 1e-12  # of the largest contribution: so much is rounding

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Explained:
    """What explains scores. base: (n,), the mean over `rows` rows; contributions: (n, features), as spec.features.

    base + contributions.sum(axis=1) is the score explained: for regression the value; of two classes the probability of
    the positive one; of more that of the class predicted. A feature that moves nothing has exactly 0.
    """

    base: Floats
    contributions: Floats
    rows: int


def check_explainable(spec: ServingSpec, rows: int) -> None:
    """Raise Refused where the contract asks for no explanations, TooLarge where so many rows get none."""
    if not spec.baseline:
        raise Refused(
            f"{spec.model} was trained without explanations: put serving: {{explain: true}} into its contract, "
            "and train it again",
            code="NOT_EXPLAINED",
        )
    if rows > MAX_EXPLAINED_ROWS:
        raise TooLarge(f"{rows:,} rows; at most {MAX_EXPLAINED_ROWS} are explained at once")


def explain(
    encoded: Encoded, scores: Floats, spec: ServingSpec, usual: Arrays, run: Callable[[Encoded], Floats]
) -> Explained:
    """Explain scores by the model that gave them. usual: the spec's rows to start from, at least one.

    run: scores rows; called once, with all rows of all paths. The same rows get the same explanation.
    """
    features, rows = len(spec.features), len(encoded)
    paths = PATHS if usual.row_count > 1 else PATHS_FROM_ONE
    place, starts = _places(features, paths), np.arange(paths) % usual.row_count
    # has_own[path, step, feature]: whether the row's own value was taken over by then; the ends of paths are known.
    has_own = place[:, None, :] < np.arange(1, features)[:, None]
    numbers = len(spec.numeric)
    mixed = Arrays(
        _mix(has_own[..., :numbers], encoded.numeric, usual.numeric[starts], usual.numeric),
        _mix(has_own[..., numbers:], encoded.codes, usual.codes[starts], usual.codes),
    )
    scored, explained = run(Encoded(mixed)), _explained_class(scores, spec)
    of_usual = scored[-usual.row_count :][:, explained].T
    shape = (rows, paths, features - 1, scores.shape[1])
    between = np.take_along_axis(scored[: -usual.row_count].reshape(shape), explained[:, None, None, None], axis=3)
    ends = np.broadcast_to(np.take_along_axis(scores, explained[:, None], axis=1)[:, :, None], (rows, paths, 1))
    along = np.concatenate([of_usual[:, starts, None], between[..., 0], ends], axis=2)
    moved = np.take_along_axis(np.diff(along, axis=2), np.broadcast_to(place, (rows, *place.shape)), axis=2)
    base = of_usual.mean(axis=1)
    of_graph = moved.mean(axis=1) + _share_out(along[:, :, 0].mean(axis=1) - base, np.abs(moved).mean(axis=1))
    of_graph[np.abs(of_graph) <= _NOTHING * np.abs(of_graph).max(axis=1, keepdims=True)] = 0.0
    order = [feature.name for feature in (*spec.numeric, *spec.categories)]
    contributions = of_graph[:, [order.index(feature.name) for feature in spec.features]]
    return Explained(base, contributions, usual.row_count)


@lru_cache(maxsize=16)
def _places(features: int, paths: int) -> NDArray[np.int64]:
    """At which step each feature has its turn, per path: half of them at random, half these backwards."""
    random = np.random.default_rng(0)
    forward: NDArray[np.int64] = np.array([random.permutation(features) for _ in range(paths // 2)])
    return np.concatenate([forward, features - 1 - forward])


def _mix(has_own: NDArray[np.bool_], own: NDArray[Any], starts: NDArray[Any], usual: NDArray[Any]) -> NDArray[Any]:
    """Lay out the rows of all paths, and after them the usual ones."""
    mixed = np.where(has_own, own[:, None, None, :], starts[:, None, :])
    return np.concatenate([mixed.reshape(math.prod(mixed.shape[:3]), own.shape[1]), usual])


def _share_out(rest: Floats, moves: Floats) -> Floats:
    """Divide what is left of each row among its features by how far these moved; where none did, evenly."""
    total = moves.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, moves / np.where(total > 0, total, 1.0), 1 / moves.shape[1])
    return np.asarray(rest[:, None] * shares)


def _explained_class(scores: Floats, spec: ServingSpec) -> NDArray[np.intp]:
    likeliest: NDArray[np.intp] = scores.argmax(axis=1)
    return likeliest if spec.positive is None else np.full_like(likeliest, spec.positive)
