"""Who waits is told what for: where that changes, and after each silence."""

from __future__ import annotations

import sys
from itertools import pairwise
from types import SimpleNamespace

import pytest

from serin.client.progress import SILENCE_SECONDS, Progress, teller


class Waiting:
    """Somebody who waits: what was said, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self.progress = Progress(self.said.append, lambda: self.now)

    def wait(self, seconds: float, reason: str = "") -> list[str]:
        """Let time pass, second by second, and give what was said meanwhile."""
        before = len(self.said)
        for _ in range(int(seconds)):
            self.progress.tell("the receipt", reason)
            self.now += 1
        return self.said[before:]


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def test_a_short_wait_says_nothing(waiting: Waiting) -> None:
    assert waiting.wait(SILENCE_SECONDS) == []


def test_a_long_wait_is_told_after_silences_that_grow(waiting: Waiting) -> None:
    said = waiting.wait(900)
    assert said[:2] == ["waiting for the receipt (20 s)", "waiting for the receipt (40 s)"]
    assert len(said) == 6
    assert all(one != other for one, other in pairwise(said))


def test_what_it_waits_for_itself_is_told_at_once_and_where_it_changes(waiting: Waiting) -> None:
    assert waiting.wait(2, "run a must end first") == ["waiting for the receipt: run a must end first"]
    assert waiting.wait(2, "run b must end first") == ["waiting for the receipt (2 s): run b must end first"]
    assert waiting.wait(2) == ["waiting for the receipt (4 s)"]


def test_a_figure_alone_is_nothing_new_and_is_told_shortly_later(waiting: Waiting) -> None:
    waiting.wait(1, "step 1 lasts 60 s more\n  how to watch it")
    assert waiting.wait(10, "step 1 lasts 50 s more\n  how to watch it") == []
    assert waiting.wait(15, "step 1 lasts 40 s more\n  how to watch it") == [
        "waiting for the receipt (20 s): step 1 lasts 40 s more"
    ]


def test_what_is_no_news_is_told_after_a_silence_only(waiting: Waiting) -> None:
    for second in range(25):
        waiting.now = second
        waiting.progress.tell("the end", f"stands like {'so' * second}", is_news=False)
    assert waiting.said == [f"waiting for the end (20 s): stands like {'so' * 20}"]


@pytest.mark.parametrize(
    ("shell", "is_told"),
    [(SimpleNamespace(kernel=1), True), (SimpleNamespace(), False), (None, False)],
    ids=["notebook", "IPython in a pipe", "neither"],
)
def test_whoever_can_see_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: object, is_told: bool
) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    teller()("waiting for the receipt")
    assert capsys.readouterr().out == ("waiting for the receipt\n" if is_told else "")


def test_a_terminal_is_told_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    teller()("waiting for the receipt")
    assert capsys.readouterr().out == "waiting for the receipt\n"
