"""Which rows does no candidate see? The hold-out, on which the gates are asked.

With a `time` column they are the latest rows. Otherwise a hash decides, of the entity, else of the row's features: a
row stays on its side when more uploads come, and so do all rows of one entity. The target is not hashed: of rows that
differ in it alone, training would see only the ones whose answer the hold-out contradicts.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.metrics import Task
from serin.contract.model import Contract

Keys = NDArray[np.uint64] | NDArray[np.float64]
Mask = NDArray[np.bool_]


def split_holdout(frame: pd.DataFrame, contract: Contract) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide a typed table into row positions for training and hold-out, each ascending and neither empty.

    Every class of two rows or more is on both sides, even where that moves rows across the border of time; only a
    class whose rows all belong to one entity stays whole. Raises ValueError for a table of fewer than two rows.
    """
    if len(frame) < 2:
        raise ValueError("a table of fewer than two rows cannot be split")
    classes = np.zeros(len(frame), dtype=np.int64)
    if contract.task is Task.CLASSIFICATION:
        classes = pd.factorize(frame[contract.target], use_na_sentinel=False)[0].astype(np.int64)
    by_time = _by_time(frame, contract) if contract.time else None
    by_entity = _by_entity(frame, contract) if contract.entity and by_time is None else None
    keys, holdout = by_time or by_entity or _by_content(frame, contract)
    for label in range(int(classes.max()) + 1):
        move = _move_entities if by_entity else _move_rows
        holdout = move(label, classes, keys, holdout)
    if not holdout.any() or holdout.all():  # entities that each hold a whole class
        holdout = keys == keys.max()
    if holdout.all():  # rows that are all alike
        holdout = np.arange(len(frame)) >= min(
            max(round(len(frame) * (1 - contract.training.holdout)), 1), len(frame) - 1
        )
    return np.flatnonzero(~holdout), np.flatnonzero(holdout)


def row_hashes(frame: pd.DataFrame, columns: tuple[str, ...], *, seed: int) -> NDArray[np.uint64]:
    """Hash each row's values in `columns`, whatever their order; the same values give the same hash on any machine."""
    total = np.zeros(len(frame), dtype=np.uint64)
    for name in columns:
        salt = np.uint64(_hash_text(f"{seed}:{name}"))
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column.dtype):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            bits = np.where(np.isnan(numbers), np.nan, numbers + 0.0).view(np.uint64)  # + 0.0 makes -0.0 one with 0.0
        else:
            codes, distinct = pd.factorize(column)
            hashes = np.array([*(_hash_text(str(value)) for value in distinct), 0], dtype=np.uint64)
            bits = hashes[codes]
        total += _mix(bits ^ salt)
    return _mix(total)


def _by_time(frame: pd.DataFrame, contract: Contract) -> tuple[Keys, Mask] | None:
    times = np.nan_to_num(frame[contract.time].to_numpy(dtype=np.float64), nan=-np.inf)
    first = min(max(round(len(times) * (1 - contract.training.holdout)), 1), len(times) - 1)
    border = np.partition(times, first)[first]
    holdout: Mask = times >= border
    if holdout.all():
        holdout = times > border
    return (times, holdout) if holdout.any() else None


def _by_entity(frame: pd.DataFrame, contract: Contract) -> tuple[Keys, Mask] | None:
    keys = row_hashes(frame, (str(contract.entity),), seed=contract.training.seed)
    return (keys, _above_border(keys, contract)) if (keys != keys[0]).any() else None


def _by_content(frame: pd.DataFrame, contract: Contract) -> tuple[Keys, Mask]:
    keys = row_hashes(frame, tuple(contract.features), seed=contract.training.seed)
    return keys, _above_border(keys, contract)


def _above_border(keys: NDArray[np.uint64], contract: Contract) -> Mask:
    return keys >= np.uint64(int((1 - contract.training.holdout) * 2**64))


def _move_rows(label: int, classes: NDArray[np.int64], keys: Keys, holdout: Mask) -> Mask:
    """Move the class's rows nearest the border, where all of it are on one side; of equal rows one, if all are."""
    rows = np.flatnonzero(classes == label)
    if len(rows) < 2 or len(set(holdout[rows])) == 2:
        return holdout
    to_holdout = not holdout[rows[0]]
    nearest = rows[keys[rows] == (keys[rows].max() if to_holdout else keys[rows].min())]
    moved = holdout.copy()
    moved[nearest if len(nearest) < len(rows) else nearest[:1]] = to_holdout
    return moved


def _move_entities(label: int, classes: NDArray[np.int64], keys: Keys, holdout: Mask) -> Mask:
    """Move the nearest entity with rows of the class, where all of it are on one side and no class leaves it."""
    rows = np.flatnonzero(classes == label)
    if len(set(holdout[rows])) == 2:
        return holdout
    to_holdout = not holdout[rows[0]]
    nearest_first = np.unique(keys[rows])[:: -1 if to_holdout else 1]
    on_old_side = set(classes[holdout != to_holdout])
    for entity in nearest_first[:100]:
        moved = np.where(keys == entity, to_holdout, holdout)
        if on_old_side <= set(classes[moved != to_holdout]):
            return moved
    return holdout


def _hash_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread 64 bits evenly. Source: Steele, Lea and Flood, SplittableRandom (2014), its finaliser."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
