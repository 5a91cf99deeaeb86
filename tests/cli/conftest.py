"""Tests of the command line read what is said, not where it wraps."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def wide_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each sentence stand on one line, however long."""
    monkeypatch.setenv("COLUMNS", "1000")
