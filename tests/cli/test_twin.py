"""There is one twin a project, it is found only while it lives, and no stranger is taken for it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

import serin.local.twin
from serin.cli import twin
from serin.client import project
from serin.client.twin import running_twin
from serin.errors import SerinError, Unavailable
from serin.local.assembly import hold
from serin.local.errors import StateUnreadable, UnknownStack


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".serin").mkdir()
    context = {"defaults": {"prefix": "shop"}, "environments": {"local": {}}}
    (tmp_path / "cdk.json").write_text(json.dumps({"context": context}))
    monkeypatch.setattr(project, "here", lambda: project.Project(tmp_path))
    monkeypatch.setattr(twin, "LOCK_SECONDS", 0.0)
    monkeypatch.setattr(twin, "assembly", lambda say, place: tmp_path)


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def say_where(folder: Path, pid: int, port: int) -> None:
    facts = {"pid": pid, "endpoint_url": f"http://127.0.0.1:{port}"}
    (folder / ".serin" / "local.json").write_text(json.dumps(facts))


HOLDER = """
import os, sys, time
from pathlib import Path
from serin.cli import twin
from serin.client import project
project.here = lambda: project.Project(Path(sys.argv[1]))
with twin.sole_holder(project.here()):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_stranger_with_a_dead_twins_number_is_not_killed(tmp_path: Path, port: int) -> None:
    with twin.sole_holder(project.here()):
        pass  # so that there is a lock's file
    with subprocess.Popen(["sleep", "60"]) as stranger:
        say_where(tmp_path, stranger.pid, port)
        with pytest.raises(Unavailable, match="not up"):
            twin.stop_detached()
        assert stranger.poll() is None
        stranger.kill()


def test_the_twin_is_found_and_stopped(tmp_path: Path, port: int, holder: subprocess.Popen[str]) -> None:
    say_where(tmp_path, holder.pid, port)
    assert running_twin(project.here())["pid"] == holder.pid
    assert twin.stop_detached() == holder.pid
    assert holder.wait() == -signal.SIGTERM
    with pytest.raises(Unavailable):
        running_twin(project.here())


def test_what_a_killed_twin_left_behind_is_cleared_away(
    tmp_path: Path, port: int, holder: subprocess.Popen[str]
) -> None:
    say_where(tmp_path, holder.pid, port)
    holder.kill()
    holder.wait()
    with pytest.raises(Unavailable):
        running_twin(project.here())
    with twin.sole_holder(project.here()):
        assert not (tmp_path / ".serin" / "local.json").exists()


class FakeTwin:
    """A twin of nothing, that does something else while it starts."""

    environment: ClassVar[dict[str, str]] = {}
    restored_from = None
    started = 0

    def __init__(self, *_: Any, port: int, **__: Any) -> None:
        self.endpoint_url = f"http://127.0.0.1:{port}"

    def outputs_of(self, stack: str) -> dict[str, str]:
        if stack != "shop-local":
            raise UnknownStack(f"no {stack}")
        return {"Table": "shop-local"}

    def start(self) -> None:
        FakeTwin.started += 1
        with suppress(SerinError), twin.twin_up(port=0, say=print):
            raise AssertionError("there are two")
        with pytest.raises(SerinError, match="being started or stopped"), twin.sole_holder(project.here()):
            pass

    def stop(self) -> None:
        pass


def test_of_two_that_start_at_the_same_moment_one_is_refused(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serin.local.twin, "Twin", FakeTwin)
    monkeypatch.setattr(FakeTwin, "started", 0)
    with twin.twin_up(port=port, say=print) as facts:
        assert facts["pid"] == running_twin(project.here())["pid"] == os.getpid()
        with pytest.raises(SerinError, match="up already"), twin.twin_up(port=0, say=print):
            pass
    assert FakeTwin.started == 1
    assert not (tmp_path / ".serin" / "local.json").exists()


def test_the_outputs_are_those_of_serins_own_stack(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serin.local.twin, "Twin", FakeTwin)
    with twin.own_twin(port=port, keep=False, say=print):
        assert twin.running_twin(project.here())["outputs"] == {"Table": "shop-local"}


def test_an_app_without_serin_is_told_so(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    context = {"defaults": {}, "environments": {"local": {}}}
    (tmp_path / "cdk.json").write_text(json.dumps({"context": context}))
    monkeypatch.setattr(serin.local.twin, "Twin", FakeTwin)
    with pytest.raises(SerinError, match="no serin-local"), twin.own_twin(port=port, keep=False, say=print):
        pass


def test_old_assemblies_are_removed_but_for_what_a_twin_runs(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for number in range(twin.KEPT_ASSEMBLIES + 3):
        folder = cache / str(number)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        os.utime(folder, (number, number))
    (cache / "0.123").mkdir()  # one that is being made
    with hold(cache / "1"):
        twin._forget_old_assemblies(cache)
        assert {folder.name for folder in cache.iterdir()} == {"0.123", "1", "3", "4", "5", "6"}
    twin._forget_old_assemblies(cache)
    assert not (cache / "1").exists()


class KeepingTwin(FakeTwin):
    """A twin that tells where it would keep its state, and whether one is there when it starts."""

    seen: ClassVar[list[tuple[Path | None, bool]]] = []

    def __init__(self, *_: Any, port: int, snapshot: Path | None, **__: Any) -> None:
        super().__init__(port=port)
        self._snapshot = snapshot

    def start(self) -> None:
        self.seen.append((self._snapshot, bool(self._snapshot and self._snapshot.exists())))


@pytest.mark.parametrize("is_fresh", [False, True])
def test_the_twin_is_given_what_the_one_before_held_unless_it_is_to_be_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_fresh: bool
) -> None:
    monkeypatch.setattr(serin.local.twin, "Twin", KeepingTwin)
    monkeypatch.setattr(KeepingTwin, "seen", [])
    kept = tmp_path / ".serin" / "state"
    kept.mkdir(parents=True)
    with twin.twin_up(port=0, say=print, is_kept=True, is_fresh=is_fresh):
        assert KeepingTwin.seen == [(kept, not is_fresh)]


def test_what_was_kept_stays_where_a_fresh_twin_finds_its_port_taken(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / ".serin" / "state"
    kept.mkdir(parents=True)
    monkeypatch.setattr(serin.local.twin, "Twin", KeepingTwin)
    with pytest.raises(SerinError, match="in use"), twin.twin_up(port=port, say=print, is_kept=True, is_fresh=True):
        pass
    assert kept.exists()


def test_a_twin_of_a_block_leaves_what_is_kept_alone(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serin.local.twin, "Twin", KeepingTwin)
    monkeypatch.setattr(KeepingTwin, "seen", [])
    kept = tmp_path / ".serin" / "state"
    kept.mkdir(parents=True)
    with twin.own_twin(port=port, keep=False, say=print):
        assert KeepingTwin.seen == [(None, False)]
    assert kept.exists()


def test_a_state_that_cannot_be_put_back_is_told_with_what_to_do(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: KeepingTwin) -> None:
        raise StateUnreadable("it has format 99")

    monkeypatch.setattr(serin.local.twin, "Twin", KeepingTwin)
    monkeypatch.setattr(KeepingTwin, "start", refuse)
    with pytest.raises(SerinError, match="format 99") as told, twin.twin_up(port=port, say=print, is_kept=True):
        pass
    assert "serin local up --fresh" in told.value.fix
