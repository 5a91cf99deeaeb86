"""Whatever happens to a model over time, versions are judged fairly, and a good one takes the seat in the end.

Walks are taken at random, and each is forked into many sequences that end differently: with a training.
"""

from __future__ import annotations

import pytest

from serin.registry.records import ReleaseStatus
from serin.release.take_back import take_back
from tests.evaluation.lifetime import MODEL, Lifetime

MARGIN = 0.02


def a_life(seed: int, *, rows: int) -> Lifetime:
    """A life whose champion is as good as its anchor, and not the same."""
    life = Lifetime(training={"metric": "accuracy", "holdout": 0.4, "retrain": {"min_new_rows": 30}})
    life.seen = seed * 1000
    life.upload(life.fresh(rows))
    life.train(0.8)
    for number in range(20):
        life.edit(training={"seed": 1 + number})
        version = life.train(0.8, by="hand")
        assert version is not None
        if life.champion == version.number and not version.gain:
            return life
    raise AssertionError("no second version took the seat")


def test_a_version_is_released_by_itself_only_beside_the_champion_that_it_was_compared_with() -> None:
    life = a_life(0, rows=150)
    before = life.champion
    life.edit(release={"watch": "20m"})
    watched = life.train(0.9, by="hand")
    life.upload(life.fresh(100))
    waiting = life.train(0.97)
    assert watched is not None
    assert waiting is not None
    assert (life.champion, waiting.compared_with) == (watched.number, watched.number)
    take_back(life.by_hand, MODEL, "a person said so", version=watched.number)
    life.turn()
    release = life.registry.releases_of(MODEL, waiting.number)[-1]
    assert (life.champion, release.status) == (before, ReleaseStatus.REFUSED)
    assert "was not compared with the champion" in release.reason

    again = life.train(0.9, by="hand")  # on the very same rows, beside the champion of now
    assert again is not None
    assert (again.compared_with, again.datasets) == (before, waiting.datasets)
    life.wait()
    assert life.champion == again.number
    assert life.train(0.9, by="hand") is None

    life.edit(release=None)
    life.release(waiting.number)  # what a person wants is released as it is
    assert life.registry.releases_of(MODEL, waiting.number)[-1].started_by == "ann"


def test_where_the_last_upload_is_excluded_what_was_learned_before_it_is_learned_again() -> None:
    life = Lifetime()
    life.upload(life.fresh(150))
    first = life.train(0.8)
    life.upload(life.fresh(150))
    tainted = life.train(0.9)
    assert first is not None
    assert tainted is not None
    assert life.champion == tainted.number
    life.curator.exclude(MODEL, tainted.datasets[-1], "its labels are mixed up")
    anew = life.train(0.9)
    assert anew is not None
    assert (anew.datasets, life.champion) == (first.datasets, anew.number)


@pytest.mark.parametrize("role", ["entity", "time"])
def test_a_champion_whose_entity_or_time_is_sent_no_more_is_fitted_again(role: str) -> None:
    column = {"entity": "who", "time": "at"}[role]
    life = Lifetime(data={"min_rows": 30, "max_bad_rows": 0.2, "uploads": "replace"}, **{role: column})
    life.upload(life.fresh(150))
    life.train(0.8)
    life.edit(**{role: None})
    life.upload(life.fresh(150), without=[column])
    version = life.train(0.9)
    assert version is not None
    assert [how for _, _, how in life.learner.comparisons] == ["fitted again", "itself"]
    assert life.champion == version.number
