"""A retired model is left alone and goes on answering; taking that back makes it what it was."""

from __future__ import annotations

from datetime import timedelta

import pytest

from serin.errors import Conflict, NotFound, Refused
from serin.registry.records import ReleaseStatus, Releasing, TrainingState
from serin.registry.registry import put, put_releasing, put_training
from serin.release.retire import retire, undo_retirement
from serin.release.rollback import rollback
from tests.builders import a_dataset
from tests.interleave import OvertakenRows, overtake_every_row
from tests.release.bench import CANARY, Bench


def with_champion() -> Bench:
    bench = Bench()
    bench.start(1)
    bench.turn(1)
    return bench


def test_a_release_under_way_and_the_one_that_waits_end_and_the_champion_stays() -> None:
    bench = Bench()
    bench.champion_and_trial(CANARY)
    bench.start(3)
    retirement = retire(bench.releaser, "loans", "nobody asks it", until=bench.clock.at + timedelta(days=1))
    assert (bench.last(2).status, bench.last(3).status) == (ReleaseStatus.ABORTED, ReleaseStatus.ABORTED)
    assert (bench.champion, bench.weight) == (1, 0.0)
    assert bench.route is not None
    assert bench.route.retirement == retirement == bench.registry.life("loans").value.retirement
    assert (bench.turn(2).is_done, bench.champion) == (True, 1)


def test_who_did_it_and_why_stands_in_the_history_and_in_an_event() -> None:
    bench = with_champion()
    retire(bench.releaser, "loans", "nobody asks it", until=bench.clock.at + timedelta(days=1))
    entry = bench.registry.history("loans")[-1]
    assert (entry.move, entry.actor, entry.reason, entry.version) == ("retire", "test", "nobody asks it", 1)
    kind, detail = bench.events.found[-1]
    assert (kind, detail["move"], detail["until"][:10], detail["champion"]) == (
        "Model Changed",
        "retire",
        "2026-01-02",
        1,
    )
    assert bench.notifier.told[-1][0] == "loans is retired"


def test_no_release_starts_and_one_that_registers_is_refused_with_the_reason() -> None:
    bench = with_champion()
    retire(bench.releaser, "loans", "nobody asks it")
    refused = bench.start(2)
    assert (refused.status, "retired" in refused.reason) == (ReleaseStatus.REFUSED, True)
    with pytest.raises(Refused, match="--undo"):
        bench.starter.start_by_hand("loans", 2)
    assert bench.champion == 1


def test_a_person_can_roll_back_while_it_still_answers() -> None:
    bench = with_champion()
    bench.start(2)
    bench.turn(2)
    retirement = retire(bench.releaser, "loans", "nobody asks it")
    back = rollback(bench.releaser, "loans", "it is wrong")
    assert (back.champion.version, back.retirement) == (1, retirement)


def test_it_can_be_taken_back() -> None:
    bench = with_champion()
    retire(bench.releaser, "loans", "nobody asks it")
    undo_retirement(bench.releaser, "loans", "they do")
    assert bench.route is not None
    assert (bench.route.retirement, bench.registry.life("loans").value.retirement) == (None, None)
    assert bench.registry.history("loans")[-1].move == "undo retirement"
    bench.start(2)
    bench.turn(2)
    assert bench.champion == 2
    with pytest.raises(Conflict, match="is not retired"):
        undo_retirement(bench.releaser, "loans", "again")


def test_the_same_again_changes_nothing_and_another_date_does() -> None:
    bench = with_champion()
    first = retire(bench.releaser, "loans", "nobody asks it")
    known = len(bench.registry.history("loans"))
    assert retire(bench.releaser, "loans", "nobody asks it") == first
    assert len(bench.registry.history("loans")) == known
    until = bench.clock.at + timedelta(days=3)
    assert retire(bench.releaser, "loans", "nobody asks it", until=until).until == until.isoformat()


def test_what_cannot_be_meant_is_refused() -> None:
    bench = Bench()
    with pytest.raises(NotFound, match="nothing of loans"):
        retire(bench.releaser, "loans", "why not")
    bench.registry.save(put(a_dataset(), expected_revision=0))
    with pytest.raises(Refused, match="say why"):
        retire(bench.releaser, "loans", " ")
    with pytest.raises(Refused, match="has gone by"):
        retire(bench.releaser, "loans", "a year too early", until=bench.clock.at - timedelta(days=365))
    assert retire(bench.releaser, "loans", "it has data alone").until == ""


def test_nothing_is_written_over_what_was_written_meanwhile() -> None:
    """Its life, the route, what is trained and released, both releases, and the three rows of the history."""
    bench = Bench(rows=OvertakenRows())
    bench.champion_and_trial(CANARY)
    bench.start(3)
    bench.registry.save(put_training("loans", TrainingState(), expected_revision=0))

    def act(bench: Bench) -> None:
        retire(bench.releaser, "loans", "nobody asks it")

    assert overtake_every_row(bench, act) == 9
    act(bench)
    assert overtake_every_row(bench, lambda bench: undo_retirement(bench.releaser, "loans", "")) == 4


def test_whoever_starts_a_training_or_a_release_at_that_moment_looks_again() -> None:
    bench = with_champion()
    training, releasing = bench.registry.training("loans"), bench.registry.releasing("loans")
    retire(bench.releaser, "loans", "nobody asks it")
    with pytest.raises(Conflict):
        bench.registry.save(put_training("loans", TrainingState("run1"), expected_revision=training.revision))
    with pytest.raises(Conflict):
        bench.registry.save(put_releasing("loans", Releasing("1"), expected_revision=releasing.revision))
