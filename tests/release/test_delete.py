"""A deleted model leaves nothing but its history, wherever the deletion was broken off; its name can begin anew."""

from __future__ import annotations

from contextlib import suppress

import pytest

from serin.errors import NotFound, Refused
from serin.registry.keys import data_prefixes, versions_prefix
from serin.registry.ports import KeptAnswer
from serin.registry.records import TrainingState
from serin.registry.registry import put, put_training
from serin.release.delete import Deleter
from serin.release.retire import retire
from tests.builders import a_dataset
from tests.fakes import RESTLESS, FakeAnswers
from tests.interleave import OvertakenRows, overtake_every_row
from tests.release.bench import CANARY, Bench


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class End:
    """A model with everything that a model can have, and another one beside it."""

    def __init__(self, *, is_retired: bool = True) -> None:
        self.table, self.answers = OvertakenRows(), FakeAnswers()
        self.bench = Bench(rows=self.table)
        bench = self.bench
        bench.start(1)
        bench.turn(1)
        self.digest = bench.registry.version("loans", 1).value.manifest_sha256
        bench.registry.save(put(a_dataset(), expected_revision=0))
        bench.registry.save(put_training("loans", TrainingState(last_version=1), expected_revision=0))
        for place in data_prefixes("loans"):
            bench.data.put(f"{place}a", b"old")
            bench.data.put(f"{place}a", b"new")
        bench.data.put("uploads/loans2/a", b"another model's")
        bench.data.put("captures/dt=2026-01-01/hour=00/a.jsonl.gz", b"")
        self.answers.keep("loans", [KeptAnswer("ann", "2026", 2_000_000_000, {})])
        if is_retired:
            retire(bench.releaser, "loans", "nobody asks it")

    def deleter(self) -> Deleter:
        bench = self.bench
        return Deleter(
            bench.registry,
            bench.data,
            bench.artifacts,
            bench.seam.over(self.answers),
            bench.releaser.release_log,
            bench.clock,
            RESTLESS,
        )

    def left(self) -> tuple[list[str], list[str]]:
        """What is left: the kinds of its rows, and keys of objects."""
        rows = {row.sort.partition("#")[0] for row in self.bench.table.list("MODEL#loans", "")}
        stored = [*self.bench.data.all_versions(""), *self.bench.artifacts.all_versions("")]
        return sorted(rows), [item.key for item in stored]


GONE = (["HISTORY", "LIFE", "TRAINING"], ["captures/dt=2026-01-01/hour=00/a.jsonl.gz", "uploads/loans2/a"])


def test_all_of_it_goes_and_its_history_stays_with_the_digests() -> None:
    end = End()
    deletion = end.deleter().delete("loans", "")
    assert (end.left(), end.answers.found) == (GONE, {})
    assert (deletion.reason, deletion.by) == ("nobody asks it", "test")
    history = end.bench.registry.history("loans")
    assert [entry.move for entry in history][-3:] == ["retire", "delete", "deleted"]
    assert history[-2].evidence["versions"]["1"]["manifest"] == end.digest
    moves = [detail["move"] for kind, detail in end.bench.events.found if kind == "Model Changed"]
    assert moves == ["retire", "delete", "deleted"]


@pytest.mark.parametrize("is_after", [False, True])
def test_broken_off_at_any_call_it_is_ended_by_being_asked_for_again(is_after: bool) -> None:
    broken = 0
    for kill_at in range(200):
        end = End()
        if not killed_at(end, kill_at, is_after=is_after):
            break
        life = end.bench.registry.life("loans").value
        if not life.is_being_deleted and life.deletion:
            assert end.left() == GONE
            continue
        broken += 1
        end.deleter().delete("loans", "")
        assert (end.left(), end.answers.found) == (GONE, {})
        moves = [entry.move for entry in end.bench.registry.history("loans")]
        assert (moves.count("delete"), moves.count("deleted")) == (1, 1)
    assert broken > 15


def killed_at(end: End, call: int, *, is_after: bool) -> bool:
    """Delete, and be killed at the so-manieth call to the outside; False where there were fewer."""

    def be_killed() -> None:
        raise Killed

    end.bench.seam.at(call, be_killed, is_after=is_after)
    with suppress(Killed):
        end.deleter().delete("loans", "")
    return not end.bench.seam.leave()


def test_one_that_answers_is_retired_first() -> None:
    with pytest.raises(Refused, match="retire it first: serin retire loans"):
        End(is_retired=False).deleter().delete("loans", "")


def test_one_that_never_answered_can_be_deleted_at_once() -> None:
    bench = End(is_retired=False)
    bench.bench.registry.erase_route("loans")
    assert bench.deleter().delete("loans", "").reason == "it never answered"
    assert bench.left() == GONE


def test_what_is_under_way_ends_first() -> None:
    end = End()
    state = end.bench.registry.training("loans")
    end.bench.registry.save(
        put_training("loans", TrainingState(running="run9", last_version=1), expected_revision=state.revision)
    )
    with pytest.raises(Refused, match="run run9 of loans is under way"):
        end.deleter().check("loans")


def test_what_was_deleted_is_not_there_to_delete() -> None:
    end = End()
    end.deleter().delete("loans", "it was a trial")
    with pytest.raises(NotFound, match=r"nothing of loans to delete: it was deleted at .* it was a trial"):
        end.deleter().check("loans")
    with pytest.raises(NotFound, match=r"nothing of nobody to delete$"):
        end.deleter().check("nobody")


def test_the_name_begins_anew_and_its_versions_numbers_go_on() -> None:
    end = End()
    end.deleter().delete("loans", "")
    state, life = end.bench.registry.training("loans").value, end.bench.registry.life("loans").value
    assert (state.last_version, life.retirement) == (1, None)
    end.bench.start(2)
    end.bench.turn(2)
    assert end.bench.champion == 2
    assert versions_prefix("loans") in next(end.bench.artifacts.all_versions("")).key


def test_while_it_is_deleted_nothing_starts() -> None:
    end = End()
    deleter = end.deleter()
    deleter._begin("loans", "")
    end.bench.section = CANARY
    assert "retired" in end.bench.start(2).reason
    with pytest.raises(Refused, match="is being deleted"):
        retire(end.bench.releaser, "loans", "again")


def test_nothing_is_written_over_what_was_written_meanwhile() -> None:
    """As it begins its life, what is trained and released, and the history; at its end the same but for releases."""
    end = End()
    assert overtake_every_row(end, lambda end: end.deleter().delete("loans", "")) == 7
