"""What if two act at once? One is stopped at a call to the outside, and the other does meanwhile all that they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from itertools import count
from typing import Any, Protocol, TypeVar

from serin.errors import SerinError
from serin.registry.ports import Row, Write
from tests.fakes import FakeRows


class Seam:
    """What every call to the outside goes through, and where something else can happen at one of them."""

    def __init__(self) -> None:
        self._calls_left: int | None = None
        self._is_after = False
        self._happen: Callable[[], object] = lambda: None

    def over(self, port: Any) -> Any:
        """Lead every call of a port through here."""
        return _Port(port, self)

    def at(self, call: int, happen: Callable[[], object], *, is_after: bool = False) -> None:
        """Let something happen once: before, or after, so many calls from now on."""
        self._calls_left, self._happen, self._is_after = call, happen, is_after

    def leave(self) -> bool:
        """Let nothing happen any more, and tell whether something was still to happen."""
        was_left, self._calls_left = self._calls_left is not None, None
        return was_left

    def run(self, call: Callable[[], Any]) -> Any:
        if self._calls_left is None:
            return call()
        self._calls_left -= 1
        if self._calls_left >= 0:
            return call()
        self._calls_left = None
        if self._is_after:
            answer = call()
            self._happen()
            return answer
        self._happen()
        return call()


class _Port:
    """A port whose calls go through a seam."""

    def __init__(self, port: Any, seam: Seam) -> None:
        self._port, self._seam = port, seam

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copying asks for such before there is anything
            raise AttributeError(name)
        value = getattr(self._port, name)
        return (lambda *words, **named: self._seam.run(lambda: value(*words, **named))) if callable(value) else value


class World(Protocol):
    seam: Seam


W = TypeVar("W", bound=World)


def at_every_call(world: W, one: Callable[[W], object], other: Callable[[W], object]) -> Iterator[tuple[W, str]]:
    """Let both act in a copy of the world, `other` before the first call of `one`, before the second, and so on.

    Gives each world as they left it, and says when that was. What they are refused is as it should be.
    """
    for call in count():
        copy = deepcopy(world)
        copy.seam.at(call, lambda copy=copy: _try(other, copy))  # type: ignore[misc]  # it cannot infer the default
        _try(one, copy)
        if copy.seam.leave():
            assert call > 3, "hardly anything was called"
            return
        yield copy, f"before call {call}"


def _try(act: Callable[[Any], object], world: Any) -> None:
    with suppress(SerinError):
        act(world)


class OvertakenRows(FakeRows):
    """A table where, just before a write, somebody else writes one of its rows: whoever had read it is refused.

    rows_left: how many rows are written before that one; None where nobody is overtaken.
    """

    rows_left: int | None = None

    def write(self, writes: Sequence[Write]) -> None:
        if self.rows_left is None or self.rows_left >= len(writes):
            self.rows_left = None if self.rows_left is None else self.rows_left - len(writes)
            super().write(writes)
            return
        change, self.rows_left = writes[self.rows_left], None
        stored = self.get(change.partition, change.sort) or Row(change.partition, change.sort, change.body, 0)
        others = {**stored.body, "word_of_somebody_else": True}
        super().write([Write(stored.partition, stored.sort, others, stored.revision)])
        super().write(writes)
        raise AssertionError(f"{change.sort} was written over what somebody else wrote meanwhile")


class WithTable(Protocol):
    table: OvertakenRows


T = TypeVar("T", bound=WithTable)


def overtake_every_row(world: T, act: Callable[[T], object]) -> int:
    """Let one act in a copy of the world, overtaken at the first row that they write, at the second, and so on.

    Gives how many rows that were.
    """
    number = 0
    while True:
        copy = deepcopy(world)
        copy.table.rows_left = number
        _try(act, copy)
        if copy.table.rows_left is not None:
            return number
        number += 1
