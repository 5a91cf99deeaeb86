"""Benchmarks run by hand, and seldom: that they still find what they measure is seen here."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

MODULES = sorted(path.stem for path in (Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_a_benchmark_can_be_loaded(module: str) -> None:
    assert importlib.import_module(f"benchmarks.{module}")
