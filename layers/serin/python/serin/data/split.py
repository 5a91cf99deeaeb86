"""Which rows does a version learn from, and which are kept to judge it by? A border is drawn through all rows.

With a `time` column the latest rows are kept. Otherwise a key decides, of the entity, else of the row: whatever is
edited in the contract, and however many uploads come, a row keeps its key, so that what is kept from one version is
kept from the others too, as far as their borders agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.data.border import ALL, Border, Keys, Mask, hash_values
from serin.data.storage import as_columns

MOST_HELD_OUT = 20_000  # rows that tell what there is to tell; training can use the others better

Order = NDArray[np.uint64] | NDArray[np.float64]


def split_holdout(
    frame: pd.DataFrame, keys: Keys, contract: Contract
) -> tuple[NDArray[np.int64], NDArray[np.int64], Border]:
    """Divide a typed table into row positions for training and hold-out, each ascending and neither empty.

    keys: of each row, by content. Every class of two rows or more is on both sides, even where that moves rows across
    the border; only a class whose rows all belong to one entity stays whole. Raises ValueError for a table of fewer
    than two rows, or one whose rows all have one key and time.
    """
    if len(frame) < 2:
        raise ValueError("a table of fewer than two rows cannot be split")
    share = min(contract.training.holdout, MOST_HELD_OUT / len(frame))
    classes = np.zeros(len(frame), dtype=np.int64)
    if contract.task is Task.CLASSIFICATION:
        classes = pd.factorize(frame[contract.target], use_na_sentinel=False)[0].astype(np.int64)
    columns = as_columns(frame, contract.entity, contract.time)
    border, names = _draw(columns, keys, share, contract)
    learned = border.learned(columns, keys)
    order: Order = names if border.time is None else np.nan_to_num(columns[border.time].astype(np.float64), nan=-np.inf)
    is_by_entity = border.entity is not None
    holdout = ~learned
    for label in range(int(classes.max()) + 1):
        holdout = (_move_entities if is_by_entity else _move_rows)(label, classes, order, holdout)
    if not holdout.any() or holdout.all():
        holdout = order == order.max()
    if holdout.all():  # rows that came at one time, or of one key
        holdout = names > np.median(names)
    moved = holdout == learned
    border = Border(
        border.entity,
        border.below,
        border.time,
        border.until,
        moved_in=_listed(names[moved & ~holdout]),
        moved_out=_listed(names[moved & holdout]),
    )
    learned = border.learned(columns, keys)
    if learned.all() or not learned.any():
        raise ValueError("all rows have one key; they cannot be split")
    return np.flatnonzero(learned), np.flatnonzero(~learned), border


def _draw(columns: Mapping[str, NDArray[Any]], keys: Keys, share: float, contract: Contract) -> tuple[Border, Keys]:
    """Draw the border, before classes are looked at. Also the keys by which rows are moved across it."""
    if contract.time is not None:
        times = np.nan_to_num(columns[contract.time].astype(np.float64), nan=-np.inf)
        first = min(max(round(len(times) * (1 - share)), 1), len(times) - 1)
        earliest = np.partition(times, first)[first]
        before, at_once = int((times < earliest).sum()), int((times == earliest).sum())
        if at_once > share * len(times) / 2 and first > before:  # so many came at once that keys must tell them apart
            return Border(time=contract.time, until=float(earliest), below=int((first - before) / at_once * ALL)), keys
        return Border(time=contract.time, until=float(times[times < earliest].max())), keys
    if contract.entity is not None:
        hashes = hash_values(columns[contract.entity])
        if (hashes != hashes[0]).any():
            return Border(entity=contract.entity, below=_below(hashes, share)), hashes
    return Border(below=_below(keys, share)), keys


def _below(keys: Keys, share: float) -> int:
    """Where the border lies, whatever rows there are; of so few that a side would be empty, next to the last."""
    below = int((1 - share) * ALL)
    if not (keys >= np.uint64(below)).any() or (keys >= np.uint64(below)).all():
        distinct = np.unique(keys)
        if len(distinct) > 1:
            below = int(distinct[min(max(round(len(distinct) * (1 - share)), 1), len(distinct) - 1)])
    return below


def _listed(keys: Keys) -> tuple[int, ...]:
    return tuple(int(key) for key in np.unique(keys))


def _move_rows(label: int, classes: NDArray[np.int64], order: Order, holdout: Mask) -> Mask:
    """Move the class's rows nearest the border, where all of it are on one side; of equal rows one, if all are."""
    rows = np.flatnonzero(classes == label)
    if len(rows) < 2 or len(set(holdout[rows])) == 2:
        return holdout
    to_holdout = not holdout[rows[0]]
    nearest = rows[order[rows] == (order[rows].max() if to_holdout else order[rows].min())]
    moved = holdout.copy()
    moved[nearest if len(nearest) < len(rows) else nearest[:1]] = to_holdout
    return moved


def _move_entities(label: int, classes: NDArray[np.int64], order: Order, holdout: Mask) -> Mask:
    """Move the nearest entity with rows of the class, where all of it are on one side; to training whatever is lost."""
    rows = np.flatnonzero(classes == label)
    if len(set(holdout[rows])) == 2:
        return holdout
    to_holdout = not holdout[rows[0]]
    nearest_first = np.unique(order[rows])[:: -1 if to_holdout else 1]
    on_old_side = set(classes[holdout != to_holdout])
    for entity in nearest_first[:100]:
        moved = np.where(order == entity, to_holdout, holdout)
        if on_old_side <= set(classes[moved != to_holdout]):
            return moved
    moved = np.where(order == nearest_first[0], to_holdout, holdout)
    # What is not learned from cannot be told apart at all; a hold-out can do without a class.
    return moved if not to_holdout and moved.any() else holdout
