"""Labels that were mixed up are noticed; rows that are harder, or new, or few, are not taken for such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serin.data.learnable import BLOCK_ROWS, MOST_ROWS, Learnability, choose_rows, probe_upload

Table = dict[str, NDArray[Any]]


def a_table(rows: int, seed: int, *, classes: int = 2, noise: float = 0.5, turned: float = 0.0) -> Table:
    """Rows of three numbers and a category. classes: 0 for values. turned: by how much of a circle the meaning is."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3))
    x[random.random(rows) < 0.05, 2] = np.nan
    shop = random.choice(np.array(["north", "south", None], dtype=object), rows)
    score = x[:, 0] * np.cos(turned * 2 * np.pi) + x[:, 1] * np.sin(turned * 2 * np.pi)
    score = score + 0.5 * (shop == "north") + noise * random.normal(size=rows)
    columns = {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "shop": shop}
    if not classes:
        return {**columns, "y": score}
    place = np.searchsorted(np.linspace(-1.5, 1.5, classes + 1)[1:-1], score)
    return {**columns, "y": np.array([f"class {number}" for number in range(classes)], dtype=object)[place]}


def shuffled(table: Table, share: float, seed: int = 0) -> Table:
    random = np.random.default_rng(seed)
    labels = table["y"].copy()
    chosen = random.permutation(len(labels))[: round(len(labels) * share)]
    labels[chosen] = labels[random.permutation(chosen)]
    return {**table, "y": labels}


def swapped(table: Table) -> Table:
    labels = table["y"]
    if labels.dtype != object:
        return {**table, "y": labels.max() - labels}
    classes = np.unique(labels.astype(str)).astype(object)
    return {**table, "y": np.roll(classes, 1)[np.searchsorted(classes.astype(str), labels.astype(str))]}


def probe(upload: Table, before: Mapping[str, NDArray[Any]]) -> Learnability:
    found = probe_upload(upload, before, target="y", is_values=upload["y"].dtype != object)
    assert found is not None
    return found


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_labels_that_say_what_they_said_are_not_doubted(classes: int) -> None:
    for seed in range(1, 4):
        found = probe(a_table(4_000, seed, classes=classes), a_table(6_000, 0, classes=classes))
        assert not found.is_noise
        assert not found.is_opposite
        assert abs(found.lost) < 0.1


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("classes", [0, 2, 5])
def test_labels_that_were_shuffled_are_noise(classes: int, share: float) -> None:
    upload = shuffled(a_table(4_000, 1, classes=classes), share)
    found = probe(upload, a_table(6_000, 0, classes=classes))
    assert found.is_noise
    assert not found.is_opposite
    assert found.lost == pytest.approx(share, abs=0.12)


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_labels_that_were_swapped_are_the_opposite_and_no_noise(classes: int) -> None:
    found = probe(swapped(a_table(2_000, 1, classes=classes)), a_table(4_000, 0, classes=classes))
    assert found.is_opposite
    assert not found.is_noise


def test_shuffled_labels_are_found_wherever_they_are_in_a_large_upload() -> None:
    rows = 5 * MOST_ROWS
    assert (np.diff(choose_rows(rows)) > 0).all()
    assert len(choose_rows(rows)) == MOST_ROWS
    assert choose_rows(rows)[[0, -1]].tolist() == [0, rows - 1]
    part = slice(rows // 10, rows // 2)
    assert np.isin(choose_rows(rows), np.arange(rows)[part]).mean() == pytest.approx(0.4, abs=BLOCK_ROWS / MOST_ROWS)
    assert (choose_rows(MOST_ROWS) == np.arange(MOST_ROWS)).all()


def test_a_few_rows_that_were_shuffled_are_left_to_the_gates() -> None:
    assert not probe(shuffled(a_table(4_000, 1), 0.05), a_table(6_000, 0)).is_noise


@pytest.mark.parametrize("turned", [0.25, 0.28])
def test_what_is_new_but_can_be_learned_is_drift(turned: float) -> None:
    """The past foretells nothing of it any more; but shuffled, it could not be learned by itself either."""
    upload = a_table(4_000, 1, turned=turned)
    found = probe(upload, a_table(6_000, 0))
    assert found.told.agreement < 0.3 < found.told_before.agreement
    assert not found.is_noise
    assert not found.is_opposite
    assert probe(shuffled(upload, 0.4), a_table(6_000, 0)).is_noise


def test_where_blocks_differ_by_themselves_another_that_does_is_not_doubted() -> None:
    """Some days are much harder to tell than others; the first hard one is doubted, and not the third."""
    easy, hard = ([a_table(1_000, seed, noise=noise) for seed in range(8)] for noise in (0.2, 2.0))

    def joined(parts: list[Table]) -> Table:
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    assert probe(hard[7], joined(easy[:6])).is_noise
    assert not probe(hard[7], joined([*easy[:2], hard[2], easy[3], hard[4], easy[5]])).is_noise


def test_few_rows_have_to_lose_more() -> None:
    before = a_table(2_000, 0, noise=1.0)
    small = shuffled(a_table(80, 1, noise=1.0), 0.4)
    assert probe(small, before).lost > 0.18
    assert not probe(small, before).is_noise
    assert probe(shuffled(a_table(400, 1, noise=1.0), 1.0), before).is_noise


def test_what_nobody_could_learn_before_cannot_be_lost() -> None:
    before = shuffled(a_table(6_000, 0), 1.0)
    assert not probe(shuffled(a_table(2_000, 1), 1.0), before).is_noise


def test_a_class_of_one_row_in_twenty_is_looked_at() -> None:
    def rare(seed: int) -> Table:
        table = a_table(6_000, seed, classes=0)
        return {**table, "y": np.where(table["y"] > 2.1, "fraud", "good").astype(object)}

    assert (rare(1)["y"] == "fraud").mean() == pytest.approx(0.05, abs=0.03)
    assert not probe(rare(1), rare(0)).is_noise
    assert probe(shuffled(rare(1), 0.4), rare(0)).is_noise
    assert probe(swapped(rare(1)), rare(0)).is_opposite


def test_too_few_rows_tell_nothing() -> None:
    def ask(upload: Table, before: Table) -> object:
        return probe_upload(upload, before, target="y", is_values=False)

    assert ask(a_table(59, 1), a_table(1_000, 0)) is None
    assert ask(a_table(1_000, 1), a_table(59, 0)) is None
    assert ask({**a_table(500, 1), "y": np.full(500, "class 1", dtype=object)}, a_table(500, 0)) is None
    assert ask({"y": a_table(500, 1)["y"]}, a_table(500, 0)) is None


def test_hundreds_of_columns_are_read_in_bounded_time_and_memory() -> None:
    random = np.random.default_rng(0)

    def wide(rows: int) -> Table:
        x = random.normal(size=(rows, 900))
        labels = np.where(x[:, 7] + x[:, 800] + 0.3 * random.normal(size=rows) > 0, "yes", "no").astype(object)
        return {**{f"x{place}": column for place, column in enumerate(x.T)}, "y": labels}

    upload, before = wide(1_500), wide(3_000)
    assert not probe(upload, before).is_noise
    assert probe(shuffled(upload, 1.0), before).is_noise
