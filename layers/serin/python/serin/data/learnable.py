"""Do the labels of an upload still say what its features tell? A small probe learns them, as it learned those before.

The probe is linear in bins: each number is cut into bins by what came before, each category has a column, and ridge
regression predicts the target. It is much weaker than a trained model, and need not be better: it is asked the same of
blocks of the upload and of blocks before it, all of as many rows. Labels that were shuffled in a share of the rows
weaken all that can be learned by that share, whatever learns it: how well rows are put in order (agreement), and how
surely those at both ends are told (contrast). Time that passes weakens seldom both: where rows become harder to tell,
the ends are told as before, and where what holds is new, it can be learned from the upload by itself.

Measured on tables of labels, of values, of five classes and of one row in twenty: of 4,000 clean rows nothing is
lost, give or take 6%, and of those with 30% shuffled 30 to 45%, so that at least 95 of 100 are found. Fewer are
where what holds jumps or turns with the season (two in three to nine in ten), where features hardly tell the target
(nine in ten at an AUC of 0.6), and of 24 distinct rows (one in three). Of clean uploads of a few hundred rows up to
8 of 100 are held where blocks differ by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.data.ridge import Columns, Design, Floats, Sums
from serin.data.signals import (
    LEAST_OF_CLASS,
    Signal,
    loss_between,
    mean_signal,
    measure_mistakes,
    measure_signal,
    to_ranks,
)

MOST_ROWS = 20_000  # of those before, and of an upload
BLOCK_ROWS = 1_000  # few enough that there are several, which show how far blocks differ by themselves
LEAST_ROWS = 60  # of an upload, and of those before it; fewer tell nothing
BINS, LEAST_BINS, MOST_DESIGNED = 12, 3, 400
MOST_FEATURES = MOST_DESIGNED // (LEAST_BINS + 2)
FOLDS = 5
LOST = 0.18  # of both; less is left to the gates


@dataclass(frozen=True, slots=True)
class Learnability:
    """What an upload tells beside the rows before it.

    own, before: cross-validated within blocks of `rows` rows, of the upload and of the last rows before. told,
    told_before: what the probe of the rows before it tells of the upload, and of blocks of those from the others.
    mistaken: by how much more it tells another class, or the opposite, where it would tell one; and the standard error.
    """

    own: Signal
    before: Signal
    told: Signal
    told_before: Signal
    mistaken: tuple[float, float]
    rows: int

    @property
    def lost(self) -> float:
        """The share of what could be learned before that cannot be learned from the upload."""
        return loss_between(self.own, self.before).share

    @property
    def is_noise(self) -> bool:
        """Tell whether the upload cannot be learned as those before it could, by more than chance.

        Where the rows before foretell it worse too, less is needed: what cannot be learned in either way is no drift.
        """
        own_loss, told_loss = loss_between(self.own, self.before), loss_between(self.told, self.told_before)
        if own_loss.share > LOST and own_loss.errors > 2.3:
            return True
        is_told_lost = told_loss.share > LOST and told_loss.errors > 2.5
        return is_told_lost and own_loss.share > 0.8 * LOST and own_loss.errors > 1.5

    @property
    def is_opposite(self) -> bool:
        """Tell whether what was learned before is worse than chance on the upload, as where labels are swapped."""
        value, error = self.mistaken
        return value > 0.6 * self.told_before.agreement > 0 and value > 2.6 * error


def probe_upload(upload: Columns, before: Columns, *, target: str, is_values: bool) -> Learnability | None:
    """Ask how well an upload can be learned. None where there are too few rows to tell.

    upload, before: typed columns, features and target, MOST_ROWS of each at most; the rows in the order in which they
    came.
    """
    features = [name for name in upload if name != target and name in before]
    rows, known = len(upload[target]), len(before[target])
    block = min(rows // max(round(rows / BLOCK_ROWS), 1), known)
    if min(block, known // 2 if len(features) > MOST_FEATURES else known) < LEAST_ROWS or not features:
        return None
    answers = _answers(upload[target], before[target], is_values=is_values)
    if answers is None:
        return None
    y_new, y_past = answers
    if len(features) > MOST_FEATURES:  # those are asked that told most in the first half of what came before
        half = len(y_past) // 2
        features = _telling(before, y_past, features, slice(0, half))
        before, y_past = {name: before[name][half:] for name in features}, y_past[half:]
        block = min(block, len(y_past))
    design = Design.of(before, features, max(LEAST_BINS, min(BINS, MOST_DESIGNED // len(features) - 2)))
    x_new, x_past = design.codes(upload), design.codes(before)

    def learn(x: NDArray[np.int64], y: Floats) -> list[tuple[Signal, Sums]]:
        return [_learn(x[rows], y[rows], design.width, is_values) for rows in _blocks(len(x), block)]

    learned = learn(x_past, y_past)
    rest = slice(0, len(x_past) % block)
    total = reduce(add, (sums for _, sums in learned), Sums.of(x_past[rest], y_past[rest], design.width))
    own, usual = (mean_signal([signal for signal, _ in blocks]) for blocks in (learn(x_new, y_new), learned))
    predicted = total.solve().predict(x_new)
    told = mean_signal([measure_signal(predicted[rows], y_new[rows], is_values) for rows in _blocks(len(x_new), block)])
    others = [(rows, total - sums) for rows, (_, sums) in zip(_blocks(len(x_past), block), learned, strict=True)]
    told_before = usual
    if len(others) > 1:
        told_before = mean_signal(
            [measure_signal(sums.solve().predict(x_past[rows]), y_past[rows], is_values) for rows, sums in others]
        )
    return Learnability(own, usual, told, told_before, measure_mistakes(predicted, y_new, is_values), block)


def choose_rows(rows: int) -> NDArray[np.int64]:
    """Choose the rows of an upload that are asked. Of many, blocks from all parts: only one part of it may be wrong."""
    if rows <= MOST_ROWS:
        return np.arange(rows)
    starts = np.linspace(0, rows - BLOCK_ROWS, MOST_ROWS // BLOCK_ROWS).astype(np.int64)
    return (starts[:, None] + np.arange(BLOCK_ROWS)).ravel()


def _answers(new: NDArray[Any], past: NDArray[Any], *, is_values: bool) -> tuple[Floats, Floats] | None:
    """The targets as what the probe predicts: ranks of values, or one column of zeros and ones a class."""
    if is_values:
        return to_ranks(new)[:, None], to_ranks(past)[:, None]
    new, past = new.astype(str), past.astype(str)
    labels, counts = np.unique(past, return_counts=True)
    classes = [
        label
        for label, count in zip(labels, counts, strict=True)
        if min(count, len(past) - count, (new == label).sum(), (new != label).sum()) >= LEAST_OF_CLASS
    ]
    if not classes:
        return None
    return tuple(
        np.stack([(column == label).astype(np.float64) for label in classes], axis=1) for column in (new, past)
    )  # type: ignore[return-value]


def _telling(columns: Columns, y: Floats, features: list[str], rows: slice) -> list[str]:
    """Give the features that tell most by themselves: between whose bins the target differs most."""
    y = y[rows] - y[rows].mean(axis=0)

    def tells(name: str) -> float:
        column = {name: columns[name][rows]}
        codes = Design.of(column, [name], LEAST_BINS).codes(column)[:, 0]
        rows_in = np.maximum(np.bincount(codes), 1)
        return float(sum((np.bincount(codes, weights=column) ** 2 / rows_in).sum() for column in y.T))

    return sorted(features, key=tells, reverse=True)[:MOST_FEATURES]


def _learn(codes: NDArray[np.int64], y: Floats, width: int, is_values: bool) -> tuple[Signal, Sums]:
    """Measure by cross-validation how well rows can be learned. Also their sums."""
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    parts = [Sums.of(codes[fold == number], y[fold == number], width) for number in range(FOLDS)]
    total = reduce(add, parts)
    predicted = np.empty_like(y)
    for number, part in enumerate(parts):
        predicted[fold == number] = (total - part).solve().predict(codes[fold == number])
    return measure_signal(predicted, y, is_values), total


def _blocks(rows: int, size: int) -> list[slice]:
    """Cut rows into blocks that follow each other, up to the last."""
    return [slice(start, start + size) for start in range(rows % size, rows, size)]
