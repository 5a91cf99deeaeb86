"""Is the figure that a version is judged by true of rows that nobody saw, and is what answers as good as what was
judged?

Many times over a table is drawn in two, and split anew: one part is uploaded and trained on, the rest is fresh. What
the judged model is said to reach on its hold-out is compared with what it reaches on the fresh rows, and so is the
served model. Run by `make bench-honest`; TABLES=folder adds the tables german_credit.csv and elec.csv of that folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

from benchmarks.report import Figure, say, tell
from serin.cli.examples.tables import diabetes, loans, tumours
from serin.contract.load import parse_contract
from serin.contract.metrics import METRICS
from serin.contract.model import Contract
from serin.contract.serving_spec import label_text
from serin.data.border import mix
from serin.data.infer import infer_contract
from serin.data.ridge import Columns
from serin.data.row_keys import HashedFrame, place_rows
from serin.data.storage import as_columns
from serin.serving.rows.encode import encode_columns
from serin.serving.runtime.model import LoadedModel
from serin.training.measure import measure
from serin.training.train import train
from tests.judging import judge_upload

ROUNDS = int(os.environ.get("ROUNDS", "30"))
QUICK = {"folds": 2, "budget": 8, "candidates": ["linear", "boosting"]}
MOST_FRESH = 20_000


@dataclass(frozen=True, slots=True)
class Source:
    """A table, the column to predict, and how many rows of it are uploaded."""

    name: str
    table: pd.DataFrame
    target: str
    rows: int


def main() -> int:
    return tell("honest", [figure for source in sources() for figure in measured(source)])


def sources() -> Iterator[Source]:
    yield Source("8 distinct rows", few_distinct(20_000), "answer", 600)
    yield Source("loans", loans(20_000).drop(columns=["applicant_id", "applied_at"]), "approved", 2_000)
    yield Source("tumours", tumours(), "diagnosis" if "diagnosis" in tumours() else str(tumours().columns[-1]), 280)
    yield Source("diabetes", diabetes(), str(diabetes().columns[-1]), 220)
    wine = load_wine(as_frame=True).frame.rename(columns={"target": "kind"})
    yield Source("wine", wine.rename(columns=lambda name: name.replace("/", "_")), "kind", 120)
    folder = os.environ.get("TABLES")
    if folder is None:
        say("german_credit and elec are left out; TABLES=folder names where they are")
        return
    yield Source("german_credit", pd.read_csv(Path(folder) / "german_credit.csv"), "risk", 500)
    yield Source("elec", pd.read_csv(Path(folder) / "elec.csv"), "class", 4_000)


def few_distinct(rows: int) -> pd.DataFrame:
    """A table of three yes-or-no features, so of 8 distinct rows, whose answer is not certain in any."""
    random = np.random.default_rng(0)
    features = random.integers(0, 2, (rows, 3))
    chance = np.array([0.1, 0.3, 0.5, 0.6, 0.2, 0.7, 0.4, 0.9])[features @ [4, 2, 1]]
    table = pd.DataFrame(features, columns=["a", "b", "c"])
    return table.assign(answer=np.where(random.random(rows) < chance, "yes", "no"))


def measured(source: Source) -> Iterator[Figure]:
    """Compare estimates with fresh rows over many draws, each in units of the standard error of one estimate."""
    say(f"{source.name}: {ROUNDS} times {source.rows:,} of {len(source.table):,} rows")
    estimates, judged, served = zip(*(drawn(source, seed) for seed in range(ROUNDS)), strict=True)
    off = np.array(estimates) - np.array(judged)
    error = off.std(ddof=1)
    yield Figure(f"{source.name}: estimate", float(np.mean(estimates)))
    yield Figure(f"{source.name}: judged model on fresh rows", float(np.mean(judged)))
    yield Figure(f"{source.name}: served model on fresh rows", float(np.mean(served)))
    yield Figure(f"{source.name}: standard error of one estimate", float(error))
    yield Figure(f"{source.name}: bias of the estimate", float(abs(off.mean()) / error), "standard errors", at_most=1.0)
    sign = 1.0 if contract_of(source).metric.higher_is_better else -1.0
    worse = sign * (np.mean(judged) - np.mean(served)) / error
    yield Figure(f"{source.name}: served worse than judged", float(worse), "standard errors", at_most=1.0)


def contract_of(source: Source) -> Contract:
    text = infer_contract(source.table.to_csv(index=False).encode(), "table.csv", "model", source.target).text
    contract = parse_contract(text, "model.yaml")
    rules = contract.data.model_copy(update={"min_rows": 10})
    return contract.model_copy(update={"training": type(contract.training)(**QUICK), "data": rules})


def drawn(source: Source, seed: int) -> tuple[float, float, float]:
    """Draw once: what the version is said to reach, and what its judged and its served model reach on fresh rows."""
    contract, order = contract_of(source), np.random.default_rng(seed).permutation(len(source.table))
    mine, others = (
        typed(source.table.iloc[rows], contract)
        for rows in (order[: source.rows], order[source.rows : source.rows + MOST_FRESH])
    )
    beside, _ = place_rows(HashedFrame.of(mine, contract), contract)
    # A table's rows have one split for good; over the draws it is one of many, like the rows, and its luck is averaged.
    trained = train(mine, contract, mix(beside.keys ^ np.uint64(seed)))
    fresh = as_columns(others, *others.columns)
    models = ((trained.judged_onnx, trained.judged_spec), (trained.onnx, trained.spec))
    judged, served = (reached(LoadedModel.load(onnx, spec.to_json()), fresh, contract) for onnx, spec in models)
    return trained.metrics[contract.metric.name], judged, served


def typed(table: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The table as an accepted upload holds it."""
    judgement = judge_upload(table.to_csv(index=False).encode(), contract)
    if judgement.table is None:
        raise ValueError(judgement.reasons)
    return judgement.table


def reached(model: LoadedModel, columns: Columns, contract: Contract) -> float:
    truth = columns[contract.target]
    if model.spec.classes:
        place = {label_text(label): number for number, label in enumerate(model.spec.classes)}
        truth = np.array([place.get(label, -1) for label in truth])
    return measure(METRICS[contract.metric.name], truth, model.predict(encode_columns(columns, model.spec)))


if __name__ == "__main__":
    sys.exit(main())
