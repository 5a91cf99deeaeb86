"""Does an upload whose labels are wrong get through? Each comes after a clean past with a champion, on fakes.

Run it with `make bench-poison`; with `make bench-poison TABLES=folder` where german_credit.csv and elec.csv are in a
folder. It writes build/bench/poison.json, and exits with 1 where a target is missed. SHARE=0.1 tries it with a tenth
of the pasts.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # a part of scikit-learn

from benchmarks.report import Figure, keep, say
from serin.cli.examples.tables import loans, to_csv
from serin.contract.load import load_contract
from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec, label_text
from serin.data.split import as_columns
from serin.registry.keys import run_prefix
from serin.registry.records import ReceiptStatus
from serin.registry.requests import TrainingRequest, Trigger
from serin.serving.rows.encode import encode_columns
from serin.serving.runtime.model import LoadedModel
from serin.training import train
from serin.training.measure import measure
from tests.e2e.test_journey_on_fakes import House

UPLOADS = 100  # a cell
PASTS = 25  # each with its champion, so that a cell has four uploads of each
MARGIN = 0.02
SWAPPED = "swapped"
SHUFFLED = {"0%": 0.0, "10%": 0.1, "30%": 0.3, "60%": 0.6, "100%": 1.0}
MOSTLY = ("30%", "60%", "100%", SWAPPED)  # what must be held where there are rows enough
ENOUGH_ROWS = 4_000

LEAST_HELD = 95.0  # percent, of uploads of enough rows
MOST_CLEAN_HELD = 5.0
MOST_WORSE = 5.0  # points above clean uploads of the same table and size


@dataclass(frozen=True, slots=True)
class Draw:
    """The rows of one past, of the uploads after it, and of those that nobody sees before the end."""

    past: pd.DataFrame
    uploads: Sequence[pd.DataFrame]
    unseen: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Subject:
    """A table, how its rows come, and how many in an upload. contract: without gates and training."""

    name: str
    rows: int
    contract: Mapping[str, Any]
    candidates: Sequence[str]
    draw: Callable[[int], Draw]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an upload. is_worse: on unseen clean rows by more than the margin, where it was promoted."""

    subject: str
    rows: int
    labels: str
    is_held: bool
    is_promoted: bool
    is_worse: bool


def subjects(folder: Path | None, uploads: int) -> Iterator[Subject]:
    """Give each table at each size."""
    features = {name: dict(feature) for name, feature in _loans_contract()["features"].items()}
    applications = {**_loans_contract(), "features": features}
    for past, rows in ((2_000, 400), (8_000, ENOUGH_ROWS)):
        yield Subject("loans", rows, applications, ["boosting"], partial(_draw_loans, past, rows, uploads))
    if folder is None:
        return
    german, elec = pd.read_csv(folder / "german_credit.csv"), pd.read_csv(folder / "elec.csv")
    credit, prices = _contract(german, "risk"), _contract(elec, "class")
    yield Subject("german_credit", 200, credit, ["linear"], partial(_draw_any, german, 500, 200, 300, uploads))
    for past, rows in ((2_000, 500), (8_000, ENOUGH_ROWS)):
        yield Subject("elec, random", rows, prices, ["linear"], partial(_draw_any, elec, past, rows, 10_000, uploads))
        following = partial(_draw_following, elec, past, rows, uploads)
        yield Subject("elec, in time", rows, prices, ["linear"], following)


def _loans_contract() -> dict[str, Any]:
    contract = yaml.safe_load((Path(__file__).parents[1] / "models" / "loans" / "model.yaml").read_text())
    return {key: contract[key] for key in ("task", "target", "classes", "positive", "features", "entity", "time")}


def _contract(frame: pd.DataFrame, target: str) -> dict[str, Any]:
    kinds = {name: "number" if frame[name].dtype.kind in "if" else "category" for name in frame if name != target}
    return {
        "task": "classification",
        "target": target,
        "features": {name: {"type": kind} for name, kind in kinds.items()},
    }


def _draw_loans(past: int, rows: int, uploads: int, number: int) -> Draw:
    first = past + np.arange(uploads + 1) * rows
    later = [loans(rows, seed=number, first=int(begin)) for begin in first[:-1]]
    return Draw(loans(past, seed=number), later, loans(10_000, seed=number, first=int(first[-1])))


def _draw_any(frame: pd.DataFrame, past: int, rows: int, unseen: int, uploads: int, number: int) -> Draw:
    """Draw from the table in random order; uploads share rows where it is small."""
    random = np.random.default_rng(number)
    mixed = frame.iloc[random.permutation(len(frame))]
    pool = mixed.iloc[past:-unseen]
    later = [pool.iloc[random.permutation(len(pool))[:rows]] for _ in range(uploads)]
    return Draw(mixed.iloc[:past], later, mixed.iloc[-unseen:])


def _draw_following(frame: pd.DataFrame, past: int, rows: int, uploads: int, number: int) -> Draw:
    """Draw blocks as they followed each other: the past, a little later each upload, and then what is unseen."""
    late = rows // uploads
    most = len(frame) - past - (uploads - 1) * late - 2 * rows
    start = round(most * number / max(PASTS - 1, 1))
    begins = [start + past + place * late for place in range(uploads)]
    end = begins[-1] + rows
    later = [frame.iloc[begin : begin + rows] for begin in begins]
    return Draw(frame.iloc[start : start + past], later, frame.iloc[end : end + rows])


def with_wrong_labels(frame: pd.DataFrame, target: str, labels: str, random: np.random.Generator) -> pd.DataFrame:
    """Shuffle the labels of a share of the rows among each other, or take for each class the next."""
    column = frame[target].to_numpy(copy=True)
    if labels == SWAPPED:
        classes = np.unique(column)
        return frame.assign(**{target: np.roll(classes, 1)[np.searchsorted(classes, column)]})
    chosen = random.permutation(len(column))[: round(len(column) * SHUFFLED[labels])]
    column[chosen] = column[random.permutation(chosen)]
    return frame.assign(**{target: column})


def prepare() -> None:
    """Make ready a process that sends uploads: one core, no logs, and no importances, on which nothing here depends."""
    logging.disable(logging.CRITICAL)
    threadpool_limits(1)
    train.importances = lambda *_: {}  # type: ignore[assignment]  # two thirds of the time of a small training


def outcomes(subject: Subject, number: int) -> list[Outcome]:
    """Make one past with its champion, and send every upload with every kind of labels after it."""
    draw = subject.draw(number)
    random = np.random.default_rng([number, subject.rows])
    with tempfile.TemporaryDirectory() as folder:
        house, contract = _open(subject, Path(folder))
        first = house.upload("uploads/subject/past.csv", to_csv(draw.past))
        if house.run_what_is_asked("subject") is None:
            raise RuntimeError(f"{subject.name}: the past made no champion: {first.reasons}")
        champion = house.registry.route("subject").value.champion  # type: ignore[union-attr]
        prefix = house.registry.version("subject", champion.version).value.prefix
        of_champion = _value(house.artifacts.get, prefix, draw.unseen, contract)
        return [
            _send(
                subject,
                deepcopy(house),
                labels,
                with_wrong_labels(upload, contract.target, labels, random),
                lambda get, prefix: _value(get, prefix, draw.unseen, contract) - of_champion,
            )
            for upload in draw.uploads
            for labels in (*SHUFFLED, SWAPPED)
        ]


def _open(subject: Subject, folder: Path) -> tuple[House, Contract]:
    contract = {
        "model": "subject",
        **subject.contract,
        "training": {
            "candidates": list(subject.candidates),
            "folds": 2,
            "budget": f"{2 * (2 + len({*subject.candidates} - {'linear'})) + 2} fits",
            "retrain": {"min_new_rows": 1},
        },
        "gates": ["beats baseline by 0.02", f"at most {MARGIN} worse than champion"],
    }
    path = folder / "subject" / "model.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(contract))
    return House(folder), load_contract(path)


def _send(
    subject: Subject,
    house: House,
    labels: str,
    upload: pd.DataFrame,
    gain: Callable[[Callable[[str], bytes], str], float],
) -> Outcome:
    """Send an upload; what is not held is trained on, and judged against the champion."""
    receipt = house.upload("uploads/subject/next.csv", to_csv(upload))
    if receipt.status is ReceiptStatus.HELD:
        return Outcome(subject.name, subject.rows, labels, True, False, False)
    if receipt.status is not ReceiptStatus.ACCEPTED:
        raise RuntimeError(f"{subject.name}: {receipt.status}: {receipt.reasons}")
    state = house.starter.consider(TrainingRequest("subject", Trigger.UPLOAD))
    if state.running is None:
        raise RuntimeError(f"{subject.name}: {state.decision}")
    house.trainer.train("subject", state.running)
    is_promoted = house.evaluator.evaluate("subject", state.running)
    is_worse = is_promoted and gain(house.data.get, run_prefix("subject", state.running)) < -MARGIN
    return Outcome(subject.name, subject.rows, labels, False, is_promoted, is_worse)


def _value(get: Callable[[str], bytes], prefix: str, rows: pd.DataFrame, contract: Contract) -> float:
    """The contract's metric of a served model."""
    model, spec = get(prefix + "model.onnx"), get(prefix + "spec.json")
    typed = rows.astype({name: "float64" for name, feature in contract.features.items() if feature.is_numeric})
    encoded = encode_columns(as_columns(typed, *typed.columns), ServingSpec.from_json(spec))
    labels = [label_text(label) for label in ServingSpec.from_json(spec).classes]
    truth = np.array([labels.index(text) for text in rows[contract.target].astype(str)])
    return measure(contract.metric, truth, LoadedModel.load(model, spec).raw_scores(encoded))


def run(folder: Path | None, share: float) -> list[Outcome]:
    """Send everything, in two processes, whatever is slow first."""
    pasts = max(round(PASTS * share), 1)
    chosen = sorted(subjects(folder, UPLOADS // PASTS), key=lambda subject: -subject.rows)
    results: list[Outcome] = []
    with ProcessPoolExecutor(2, initializer=prepare) as pool:
        places = [round(place * (PASTS - 1) / max(pasts - 1, 1)) for place in range(pasts)]
        tasks = {pool.submit(outcomes, subject, place): subject for subject in chosen for place in places}
        for done, task in enumerate(as_completed(tasks), start=1):
            results += task.result()
            say(f"{done} of {len(tasks)} pasts: {tasks[task].name}, {tasks[task].rows:,} rows")
    return results


Cells = Mapping[tuple[str, int, str], Sequence[Outcome]]


def cells_of(results: Sequence[Outcome]) -> Cells:
    cells: dict[tuple[str, int, str], list[Outcome]] = defaultdict(list)
    for outcome in results:
        cells[outcome.subject, outcome.rows, outcome.labels].append(outcome)
    return cells


def figures(cells: Cells) -> list[Figure]:
    """Name what has a target."""
    all_figures = []
    for (subject, rows, labels), outcomes in cells.items():
        name = f"{subject}, {rows:,} rows, {labels if labels == SWAPPED else labels + ' shuffled'}"
        held, worse = _percent(outcomes, "is_held"), _percent(outcomes, "is_worse")
        usual = _percent(cells[subject, rows, "0%"], "is_worse")
        least = LEAST_HELD if rows >= ENOUGH_ROWS and labels in MOSTLY else None
        most = MOST_CLEAN_HELD if labels == "0%" else None
        all_figures.append(Figure(f"{name}: held", held, "%", at_least=least, at_most=most))
        all_figures.append(Figure(f"{name}: promoted", _percent(outcomes, "is_promoted"), "%"))
        limit = None if labels == "0%" else usual + MOST_WORSE
        all_figures.append(Figure(f"{name}: promoted, and truly worse", worse, "%", at_most=limit))
    return all_figures


def _percent(outcomes: Sequence[Outcome], what: str) -> float:
    return 100 * float(np.mean([getattr(outcome, what) for outcome in outcomes]))


def show(cells: Cells) -> None:
    """Print a line for each table, size and end, and a column for each kind of labels."""
    table = Table(title="poison: of uploads with so many labels shuffled, percent", title_justify="left")
    for column in ("table", "rows", "uploads", ""):
        table.add_column(column, justify="left" if column in ("table", "") else "right")
    for column in (*SHUFFLED, SWAPPED):
        table.add_column(column, justify="right")
    missed = {figure.name for figure in figures(cells) if not figure.is_met}
    for subject, rows in dict.fromkeys((subject, rows) for subject, rows, _ in sorted(cells)):
        for what, ending in (("is_held", "held"), ("is_promoted", "promoted"), ("is_worse", "truly worse")):
            values = []
            for labels in (*SHUFFLED, SWAPPED):
                value = f"{_percent(cells[subject, rows, labels], what):.0f}"
                start = f"{subject}, {rows:,} rows, {labels}"
                is_missed = any(name.startswith(start) and name.endswith(ending) for name in missed)
                values.append(f"[red]{value}[/]" if is_missed else value)
            count = len(cells[subject, rows, "0%"])
            table.add_row(subject, f"{rows:,}", f"{count:,}", ending, *values)
    Console().print(table)


def main() -> int:
    folder = Path(os.environ["TABLES"]) if os.environ.get("TABLES") else None
    if folder is None:
        say("left out: german_credit and elec. Name the folder with their tables: make bench-poison TABLES=folder")
    cells = cells_of(run(folder, float(os.environ.get("SHARE", "1"))))
    show(cells)
    all_figures = figures(cells)
    for figure in all_figures:
        if not figure.is_met:
            say(f"missed: {figure.name} is {figure.value:.3g}{figure.unit}, target {figure.target}")
    return keep("poison", all_figures)


if __name__ == "__main__":
    sys.exit(main())
