"""How is a benchmark measured and told? Contestants alternate, medians are compared, and targets are kept or missed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parents[1] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a benchmark, and what it has to reach, if anything."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def target(self) -> str | None:
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return None if self.at_least is None else f"≥ {self.at_least:g}"

    @property
    def is_met(self) -> bool:
        is_low_enough = self.at_most is None or self.value <= self.at_most
        return is_low_enough and (self.at_least is None or self.value >= self.at_least)


def alternate(contestants: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, float]:
    """Let each contestant measure itself once a round, in turn, and give the median of each.

    So whatever else the machine does meanwhile, it does to all of them.
    """
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds):
        for name in list(contestants)[:: 1 if turn % 2 == 0 else -1]:
            samples[name].append(contestants[name]())
    return {name: median(values) for name, values in samples.items()}


def cpu_seconds(work: Callable[[], object], *, times: int = 1) -> float:
    """Time a piece of work of this process, as the mean of so many times.

    In CPU time, which is the time that passes where nothing else runs, and leaves out what others take where it does.
    """
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times


def tell(benchmark: str, figures: Sequence[Figure]) -> int:
    """Print the figures, keep them, and give the exit status."""
    table = Table(title=benchmark, title_justify="left")
    for column, justify in (("figure", "left"), ("value", "right"), ("", "left"), ("target", "right"), ("met", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]  # one of rich's words
    for figure in figures:
        met = "" if figure.target is None else "[green]yes[/]" if figure.is_met else "[red]NO[/]"
        table.add_row(figure.name, f"{figure.value:,.4g}", figure.unit, figure.target or "", met)
    Console().print(table)
    return keep(benchmark, figures)


def keep(benchmark: str, figures: Sequence[Figure]) -> int:
    """Write the figures to build/bench/<benchmark>.json, and give the exit status: 1 where a target is missed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    document = {
        figure.name: {
            "value": figure.value,
            "unit": figure.unit,
            "target": figure.target,
            "met": figure.is_met if figure.target else None,
        }
        for figure in figures
    }
    (FOLDER / f"{benchmark}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return 0 if all(figure.is_met for figure in figures) else 1


def say(text: str) -> None:
    """Tell whoever waits what is under way."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
