"""Every gate is asked and gives its evidence, whatever is wrong with the version or with the champion."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from scipy import stats

from serin.contract.gates import parse_gate
from serin.contract.metrics import METRICS, Task
from serin.contract.model import Contract
from serin.data.storage import dump_table, load_columns, load_table
from serin.evaluation.comparison import compare_scores
from serin.evaluation.estimates import tail_share
from serin.evaluation.gate_result import GateResult, GateVerdict
from serin.evaluation.holdout import Artifact
from serin.evaluation.judge import judge_version
from serin.serving.rows.encode import encode_columns
from serin.serving.runtime.model import LoadedModel
from serin.training.measure import weighted_measure
from serin.training.rival import ROW, Mode, Rival
from serin.training.train import train
from tests.training.exporting import a_contract_for


@dataclass(frozen=True)
class Case:
    """A version with its hold-out, as training leaves them."""

    artifact: Artifact
    rows: bytes
    predictions: bytes
    metric: str
    metrics: dict[str, float]
    task: Task

    def judge(self, *gates: str, champion: Artifact | None = None, **changes: Any) -> GateVerdict:
        """Judge it, its one artifact as judged and as served model. champion: asked on every row of the hold-out."""
        table = load_table(self.rows)
        table[ROW] = np.arange(float(len(table)))
        rival = Rival(1, is_champion=True, is_anchor=True, mode=Mode.ASKED, table=dump_table(table))
        asked: dict[str, Any] = {"rivals": [(rival, champion)] if champion else []}
        return judge_version(
            self.artifact,
            self.artifact,
            holdout_rows=self.rows,
            holdout_predictions=self.predictions,
            gates=[parse_gate(gate, self.task) for gate in gates],
            metric=METRICS[self.metric],
            **(asked | changes),
        )

    def ask(self, gate: str, champion: Artifact | None = None) -> GateResult:
        return self.judge(gate, champion=champion).results[-1]

    def with_constants(self, **values: Any) -> Case:
        """The same version with other constants in its graph."""
        model = onnx.load_from_string(self.artifact.onnx)
        for constant in model.graph.initializer:
            if constant.name in values:
                shape = tuple(constant.dims)
                constant.CopyFrom(numpy_helper.from_array(np.full(shape, values[constant.name]), constant.name))
        return replace(self, artifact=Artifact(bytes(model.SerializeToString()), self.artifact.spec))

    def first(self, rows: int) -> Case:
        """The same version with fewer rows in its hold-out."""
        kept = dump_table(load_table(self.rows).head(rows))
        return replace(self, rows=kept, predictions=dump_table(load_table(self.predictions).head(rows)))

    def with_predictions(self, change: Any) -> Case:
        return replace(self, predictions=dump_table(change(load_table(self.predictions))))


def a_frame(signal: float = 2.0, rows: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": random.normal(size=rows),
            "noise": random.normal(size=rows),
            "k": random.choice(["a", "b", "c"], rows),
            "who": [f"w{place % 40}" for place in range(rows)],
        }
    )
    value = signal * frame["x"] + (frame["k"] == "a") + random.normal(size=rows)
    return frame.assign(t=np.where(value > 0, "yes", "no"), v=value)


def served_as_judged(stored: pd.DataFrame) -> pd.DataFrame:
    """Stored predictions of a version whose served model is its judged one."""
    for place in range(sum(name.startswith("score_") for name in stored)):
        stored[f"served_{place}"] = stored[f"again_{place}"] = stored[f"score_{place}"]
    return stored


def made(frame: pd.DataFrame, contract: Contract) -> Case:
    trained = train(frame, contract)
    return Case(
        Artifact(trained.judged_onnx, trained.judged_spec.to_json()),
        trained.holdout_rows,
        dump_table(served_as_judged(load_table(trained.holdout_predictions))),
        contract.metric.name,
        trained.metrics,
        contract.task,
    )


OWN = 4  # the questions that come before the contract's own
QUICK = {"candidates": ["linear"], "folds": 2, "budget": 6}


@cache
def of_classes(signal: float = 2.0, *, drop: tuple[str, ...] = (), entity: str | None = None) -> Case:
    """A version that learned x with so much signal, without the columns dropped."""
    frame = a_frame(signal).drop(columns=["v", *drop])
    frame = frame if entity else frame.drop(columns="who")
    return made(frame, a_contract_for(frame, "t", entity=entity, training=QUICK))


@cache
def of_values() -> Case:
    frame = a_frame().drop(columns=["t", "who"])
    return made(frame, a_contract_for(frame, "v", "regression", training=QUICK))


def on_the_rows_of(case: Case, other: Case) -> Case:
    """Another version judged on this one's hold-out: the stored predictions are its own again."""
    model = LoadedModel.load(other.artifact.onnx, other.artifact.spec)
    scores = model.predict(encode_columns(load_columns(case.rows), model.spec))
    stored = load_table(case.predictions)
    for place in range(scores.shape[1]):
        stored[f"score_{place}"] = scores[:, place]
    return replace(case, artifact=other.artifact, predictions=dump_table(served_as_judged(stored)))


def test_a_good_version_passes_and_every_gate_says_why() -> None:
    verdict = of_classes().judge("roc_auc >= 0.8", "beats baseline by 0.2", "at most 1% worse than champion")
    assert verdict.passed
    gates = [result.gate for result in verdict.results]
    own = ["parity", "parity of the served model", "answers vary", "served like judged"]
    assert gates == [*own, "roc_auc >= 0.8", "beats baseline by 0.2", "at most 1% worse than champion"]
    assert all(result.message and result.n == len(load_table(of_classes().rows)) for result in verdict.results)


@pytest.mark.parametrize("case", [of_classes, of_values])
def test_the_metrics_are_those_that_training_measured(case: Any) -> None:
    assert case().judge().metrics == pytest.approx(case().metrics, rel=1e-9)


def test_one_gate_that_fails_fails_the_verdict_and_the_others_are_asked_all_the_same() -> None:
    verdict = of_classes().judge("roc_auc >= 0.999999", "accuracy >= 0.5")
    assert not verdict.passed
    assert [result.passed for result in verdict.results[OWN:]] == [False, True]


# --- parity ---


@pytest.mark.parametrize(("shift", "passed"), [(9e-6, True), (2e-5, False)])
def test_a_probability_may_differ_by_no_more_than_the_tolerance(shift: float, passed: bool) -> None:
    def move(stored: pd.DataFrame) -> pd.DataFrame:
        moved = np.where(np.arange(len(stored)) == 7, shift, 0.0)
        return stored.assign(score_1=stored["score_1"] + moved)

    parity = of_classes().with_predictions(move).judge().results[0]
    assert parity.passed is passed
    assert parity.value == pytest.approx(shift, rel=1e-3)
    assert "row 7" in parity.message


@pytest.mark.parametrize(("share", "passed"), [(9e-6, True), (2e-5, False)])
@pytest.mark.parametrize("scale", [1e9, 1.0, 1e-9])
def test_a_value_may_differ_by_its_size(share: float, passed: bool, scale: float) -> None:
    frame = a_frame().drop(columns=["t", "who"])
    frame["v"] = (frame["v"] + 50) * scale
    case = made(frame, a_contract_for(frame, "v", "regression", training=QUICK))

    def move(stored: pd.DataFrame) -> pd.DataFrame:
        is_largest = stored["score_0"] == stored["score_0"].max()
        return stored.assign(score_0=stored["score_0"] * np.where(is_largest, 1 + share, 1.0))

    assert case.with_predictions(move).judge().results[0].passed is passed


def test_answers_of_another_shape_are_no_parity() -> None:
    case = of_classes().with_predictions(lambda stored: stored.drop(columns=["score_1", "baseline_1"]))
    parity, _, _, gate = case.judge("accuracy >= 0.1").results
    assert not parity.passed
    assert "2 scores a row" in parity.message
    assert "could not be asked" in gate.message


# --- versions that are broken ---


def test_a_version_that_answers_nan_is_rejected_with_the_row() -> None:
    verdict = of_classes().with_constants(c0=np.nan).judge("roc_auc >= 0.1", "beats champion by 0")
    assert not verdict.passed
    assert "row 0: the model gives no finite number" in verdict.results[0].message
    assert not any(result.passed for result in verdict.results)
    assert verdict.metrics == {}


def test_a_version_that_always_answers_the_same_is_rejected() -> None:
    constant = of_classes().with_constants(c2=0.0)  # the weights
    verdict = on_the_rows_of(of_classes(), constant).judge()
    assert [result.passed for result in verdict.results] == [True, True, False, True]
    assert "every row gets the same answer" in verdict.results[2].message


@pytest.mark.parametrize("broken", [b"", b"no model", b"PK\x03\x04"])
def test_a_version_that_cannot_be_loaded_is_rejected_with_a_reason(broken: bytes) -> None:
    case = of_classes()
    verdict = replace(case, artifact=Artifact(broken, case.artifact.spec)).judge("accuracy >= 0")
    assert not verdict.passed
    assert verdict.results[0].gate == "parity"
    assert "cannot be loaded" in verdict.results[0].message
    assert "could not be asked" in verdict.results[1].message


def test_a_version_whose_spec_asks_for_other_columns_is_rejected() -> None:
    case = replace(of_classes(), artifact=of_classes(entity="who").artifact)
    narrow = replace(case, rows=dump_table(load_table(case.rows).drop(columns="noise")))
    parity = narrow.judge().results[0]
    assert not parity.passed
    assert "no column noise" in parity.message


# --- thresholds and comparisons ---


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        ("roc_auc >= 0.7", True),
        ("roc_auc >= 0.9999", False),
        ("log_loss <= 0.6", True),
        ("log_loss <= 0.01", False),
        ("accuracy <= 0.1", False),
    ],
)
def test_a_threshold_is_asked_in_its_direction(gate: str, passed: bool) -> None:
    result = of_classes().ask(gate)
    assert result.passed is passed
    assert result.threshold == float(gate.split()[-1])
    assert result.value == pytest.approx(of_classes().metrics[gate.split()[0]])


def test_the_baseline_is_the_dummy_of_the_training_rows() -> None:
    result = of_classes().ask("beats baseline by 0.02")
    assert result.passed
    assert result.value == pytest.approx(of_classes().metrics["roc_auc"] - 0.5)


def test_a_margin_may_be_a_share_of_the_rivals_value() -> None:
    absolute, relative = of_values().ask("beats baseline by 0.1"), of_values().ask("beats baseline by 10%")
    assert absolute.value == pytest.approx(relative.value)
    assert absolute.threshold == 0.1
    assert absolute.value is not None
    assert relative.threshold == pytest.approx(0.1 * (of_values().metrics["rmse"] + absolute.value))


def test_a_better_challenger_beats_the_champion_and_a_worse_one_does_not() -> None:
    good, poor = of_classes(), of_classes(drop=("x",))
    won = good.ask("beats champion by 0.05", poor.artifact)
    lost = on_the_rows_of(good, poor).ask("at most 0.05 worse than champion", good.artifact)
    assert won.passed
    assert not lost.passed
    assert won.value is not None
    assert lost.value == pytest.approx(-won.value)


def test_an_equal_challenger_is_not_worse_and_beats_nobody() -> None:
    case = of_classes()
    assert case.ask("at most 1% worse than champion", case.artifact).passed
    assert not case.ask("beats champion by 0", case.artifact).passed


def test_an_equal_version_seldom_beats_the_champion() -> None:
    """Two models as good as each other, each with noise of its own: at the first ask 3 of 100 look certainly better."""
    random, gains, metric = np.random.default_rng(0), 0, METRICS["roc_auc"]
    rival = Rival(1, is_champion=True, is_anchor=True, mode=Mode.ASKED)
    for _ in range(200):
        truth = random.integers(0, 2, 150)
        ours, theirs = (np.clip(0.5 + 0.1 * (truth - 0.5) + random.normal(0, 0.1, 150), 0, 1) for _ in range(2))
        measured = [weighted_measure(metric, truth, np.column_stack([1 - score, score])) for score in (ours, theirs)]
        gains += compare_scores(rival, *measured, metric, np.arange(150), 0.03).is_gain
    assert gains <= 14  # 95% of so many draws at 3% are at most 10, 99.9% at most 14


def refitted(case: Case, noise: Any, **changes: Any) -> Rival:
    """A rival whose recipe stands in: this version's scores, moved by noise."""
    stored = load_table(case.predictions)
    moved = np.clip(stored["score_1"] + noise, 0, 1)
    table = pd.DataFrame({"score_0": 1 - moved, "score_1": moved, ROW: np.arange(float(len(stored)))})
    said: dict[str, Any] = {"is_champion": True, "is_anchor": True, "reason": "a column is gone", **changes}
    return Rival(3, mode=Mode.REFITTED, labels=("no", "yes"), table=dump_table(table), **said)


def test_rounding_is_no_gain() -> None:
    """As where a champion's recipe is fitted again, and is the challenger's own."""
    errors = np.random.default_rng(0).uniform(0, 200, 200)
    rival = Rival(1, is_champion=True, is_anchor=True, mode=Mode.REFITTED)

    def mean_error(weights: NDArray[np.float64]) -> float:
        return float(weights @ errors / weights.sum())

    beside = compare_scores(
        rival, mean_error, lambda weights: mean_error(weights) + 1e-13, METRICS["mae"], np.arange(200), 0.03
    )
    assert (beside.better, beside.interval, beside.is_gain) == (0.0, None, False)


def test_certainty_costs_more_each_time_that_a_holdout_is_asked() -> None:
    good, poor = of_classes(), of_classes(drop=("x", "noise"))
    needed = [
        good.judge("beats champion by 0", champion=poor.artifact, asked_before=times).results[-1].threshold or 0
        for times in (0, 1, 10, 100)
    ]
    assert needed == sorted(needed)
    assert needed[0] < needed[-1]


def test_a_margin_narrower_than_noise_is_said_and_left_to_the_release() -> None:
    case = of_classes(0.7)
    slightly = refitted(case, np.where(np.arange(len(load_table(case.rows))) % 9 == 0, 0.02, 0.0))
    result = case.judge("at most 0.0001 worse than champion", rivals=[(slightly, None)]).results[-1]
    assert result.passed
    assert result.threshold is not None
    assert result.threshold < -0.0001
    assert "the release must show the rest" in result.message


def test_a_margin_counts_from_the_anchor_too() -> None:
    good, poor = of_classes(), of_classes(drop=("x",))
    case = on_the_rows_of(good, poor)
    table = load_table(case.rows)
    table[ROW] = np.arange(float(len(table)))
    anchor = Rival(1, is_champion=False, is_anchor=True, mode=Mode.ASKED, table=dump_table(table))
    champion = Rival(2, is_champion=True, is_anchor=False, mode=Mode.ASKED, table=dump_table(table))
    asked = [(champion, poor.artifact), (anchor, good.artifact)]
    beside_champion, beside_anchor = case.judge("at most 1% worse than champion", rivals=asked).results[OWN:]
    assert beside_champion.passed
    assert not beside_anchor.passed
    assert "the anchor's (version 1)" in beside_anchor.message


def test_what_the_champion_reached_on_older_rows_is_shown_beside() -> None:
    case = of_classes()
    result = case.judge("at most 1% worse than champion", rivals=[(refitted(case, 0.0, earlier=0.9876), None)]).results[
        -1
    ]
    assert "(0.9876 on the older rows it was judged by)" in result.message


def test_rivals_are_compared_on_their_honest_rows_alone() -> None:
    """Off those rows the champion knows every answer: it must not matter."""
    case = of_classes()
    every = refitted(case, 0.0)
    rows = load_table(case.rows)
    known = np.where(rows["t"] == "yes", 1.0, 0.0)
    stored = load_table(case.predictions)
    honest = np.arange(len(rows)) >= 30
    scores = np.where(honest, stored["score_1"], known)
    table = pd.DataFrame({"score_0": 1 - scores, "score_1": scores, ROW: np.arange(float(len(rows)))})
    result = case.judge(
        "at most 0 worse than champion", rivals=[(replace(every, table=dump_table(table[honest])), None)]
    ).results[-1]
    assert (result.n, result.value) == (int(honest.sum()), 0.0)


# --- champions that cannot be compared ---


def test_without_a_champion_its_gate_passes_and_says_so() -> None:
    for gate in ("beats champion by 0.5", "at most 1% worse than champion"):
        result = of_classes().ask(gate)
        assert (result.passed, result.value, result.message) == (True, None, "there is no champion yet")


def test_a_champion_of_fewer_features_is_compared_through_its_own_spec() -> None:
    result = of_classes().ask("at most 1 worse than champion", of_classes(drop=("noise", "k")).artifact)
    assert result.value is not None


@pytest.mark.parametrize(
    ("champion", "says"),
    [
        (lambda: Artifact(b"broken", of_classes().artifact.spec), "cannot be loaded"),
        (lambda: of_classes().with_constants(c0=np.nan).artifact, "not finite"),
    ],
    ids=["broken", "nan"],
)
def test_what_cannot_be_compared_never_passes_and_waits_for_a_person(champion: Any, says: str) -> None:
    verdict = of_classes().judge("roc_auc >= 0.5", "at most 1% worse than champion", champion=champion())
    assert not verdict.passed
    assert says in verdict.held
    assert says in verdict.results[-1].message
    assert "a person must decide" in verdict.results[-1].message


def test_a_version_that_fails_another_gate_waits_for_nobody() -> None:
    broken = Artifact(b"broken", of_classes().artifact.spec)
    verdict = of_classes().judge("roc_auc >= 0.9999", "at most 1% worse than champion", champion=broken)
    assert not verdict.passed
    assert not verdict.held


def test_the_stand_in_for_a_champion_is_compared_and_the_evidence_says_so() -> None:
    result = (
        of_classes().judge("at most 1% worse than champion", rivals=[(refitted(of_classes(), 0.0), None)]).results[-1]
    )
    assert result.passed
    assert result.value == 0
    assert "fitted again" in result.message
    assert "a column is gone" in result.message


# --- the served model ---


def test_a_served_model_that_differs_more_than_another_seed_is_rejected() -> None:
    def stray(stored: pd.DataFrame) -> pd.DataFrame:
        flipped = np.arange(len(stored)) % 4 == 0
        stored.loc[flipped, ["again_0", "again_1"]] = stored.loc[flipped, ["again_1", "again_0"]].to_numpy()
        return stored

    case, other = of_classes(), of_classes(drop=("x",))
    model = LoadedModel.load(other.artifact.onnx, other.artifact.spec)
    scores = model.predict(encode_columns(load_columns(case.rows), model.spec))
    stored = load_table(case.predictions).assign(served_0=scores[:, 0], served_1=scores[:, 1])
    for again, is_like in ((stored, False), (stray(stored.copy()), True)):
        verdict = judge_version(
            case.artifact,
            other.artifact,
            holdout_rows=case.rows,
            holdout_predictions=dump_table(again),
            gates=(),
            metric=METRICS[case.metric],
        )
        assert verdict.results[3].gate == "served like judged"
        assert verdict.results[3].passed is is_like


# --- evidence ---


@pytest.mark.parametrize("gate", ["roc_auc >= 0.8", "f1 >= 0.5", "log_loss <= 1", "beats baseline by 0.1"])
def test_the_interval_holds_the_value_and_is_the_same_each_time(gate: str) -> None:
    first, second = of_classes().ask(gate), of_classes().ask(gate)
    assert first == second
    assert first.interval is not None
    assert first.value is not None
    low, high = first.interval
    assert low < first.value < high


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    result = of_classes().ask("accuracy >= 0.5")
    assert result.interval is not None
    assert result.value is not None
    standard_error = np.sqrt(result.value * (1 - result.value) / result.n)
    assert result.interval[1] - result.interval[0] == pytest.approx(2 * 1.96 * standard_error, rel=0.2)


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_a_handful_of_rows_passes_no_gate(rows: int) -> None:
    few = of_classes().first(rows)
    verdict = few.judge("roc_auc >= 0", "log_loss <= 100", "beats baseline by -1", "at most 1 worse than champion")
    assert [result.passed for result in verdict.results[OWN:]] == [False, False, False, True]
    assert f"{rows} row" in verdict.results[OWN].message
    assert "too few to tell; at least 10 are needed" in verdict.results[OWN].message
    assert verdict.results[-1].message == "there is no champion yet"
    assert not few.ask("at most 1 worse than champion", few.artifact).passed


@pytest.mark.parametrize("rows", [10, 12, 15, 20, 30])
@pytest.mark.parametrize("gate", ["accuracy >= 0", "roc_auc >= 0", "log_loss <= 9", "f1 >= 0", "beats baseline by -1"])
def test_few_rows_have_an_interval_that_holds_the_value_or_none(rows: int, gate: str) -> None:
    result = of_classes(0.7).first(rows).ask(gate)
    assert result.passed
    assert result.value is not None
    if result.interval is None:
        assert "these rows do not tell" in result.message
    else:
        assert result.interval[0] <= result.value <= result.interval[1]
        assert result.interval[0] < result.interval[1]


def test_where_every_sample_gives_the_same_there_is_no_interval() -> None:
    case = of_classes()
    truth = load_table(case.rows).assign(t=np.where(load_table(case.predictions)["score_1"] > 0.5, "yes", "no"))
    result = replace(case, rows=dump_table(truth)).ask("accuracy >= 0.9")
    assert (result.passed, result.value, result.interval) == (True, 1.0, None)


def test_a_class_of_one_row_gives_no_interval() -> None:
    case = of_classes()
    rows = load_table(case.rows)
    rows["t"] = np.where(np.arange(len(rows)) == 0, "yes", "no")
    assert replace(case, rows=dump_table(rows)).ask("roc_auc >= 0").interval is None


@pytest.mark.parametrize("units", [4, 10, 30, 1000])
def test_the_fewer_the_rows_the_less_is_left_out_at_the_ends(units: int) -> None:
    expected = stats.norm.cdf(-stats.t.ppf(0.975, units - 1) * np.sqrt(units / (units - 1)))
    assert tail_share(units) == pytest.approx(expected, rel=0.05, abs=1e-4)
    assert tail_share(units) < tail_share(units + 1) < 0.025


def test_rows_of_one_entity_are_resampled_together() -> None:
    """Each row ten times over says no more than once: the interval must not shrink."""
    case = of_classes(entity="who")
    rows = load_table(case.rows).assign(who=lambda table: [f"w{place}" for place in range(len(table))])

    def repeated(table: pd.DataFrame) -> bytes:
        return dump_table(pd.concat([table] * 10, ignore_index=True))

    once = replace(case, rows=dump_table(rows)).ask("accuracy >= 0.5").interval
    tenfold = replace(case, rows=repeated(rows), predictions=repeated(load_table(case.predictions)))
    assert tenfold.ask("accuracy >= 0.5").interval == pytest.approx(once)


def test_one_entity_alone_gives_no_interval() -> None:
    case = of_classes(entity="who")
    rows = dump_table(load_table(case.rows).assign(who="the same"))
    assert replace(case, rows=rows).ask("accuracy >= 0.5").interval is None


def test_a_class_that_training_never_saw_counts_as_wrong() -> None:
    case = of_classes()
    rows = load_table(case.rows)
    rows.loc[:, "t"] = "maybe"
    assert replace(case, rows=dump_table(rows)).ask("accuracy >= 0.5").value == 0


def test_a_metric_that_the_rows_leave_undefined_fails_its_gate_and_is_left_out() -> None:
    case = of_classes()
    rows = load_table(case.rows)
    rows.loc[:, "t"] = "yes"
    verdict = replace(case, rows=dump_table(rows)).judge("roc_auc >= 0.1", "beats baseline by 0")
    assert [result.passed for result in verdict.results[OWN:]] == [False, False]
    assert "undefined" in verdict.results[OWN].message
    assert "roc_auc" not in verdict.metrics


@pytest.mark.parametrize("broken", [False, True])
def test_the_evidence_is_valid_json(broken: bool) -> None:
    case = of_classes().with_constants(c0=np.nan) if broken else of_classes()
    verdict = case.judge("roc_auc >= 0.8", "beats champion by 0", champion=case.artifact)
    text = json.dumps([asdict(result) for result in verdict.results], allow_nan=False)
    assert {"roc_auc >= 0.8", "beats champion by 0"} < {result["gate"] for result in json.loads(text)}


@cache
def that_promises(task: str) -> Case:
    frame = a_frame().drop(columns=["who", "v" if task == "classification" else "t"])
    target = "t" if task == "classification" else "v"
    serving = {"uncertainty": "conformal", "coverage": 0.8}
    return made(frame, a_contract_for(frame, target, task, training=QUICK, serving=serving))


def with_promise(case: Case, **changes: float) -> Case:
    """The same version with other figures in what it promises."""
    said = json.loads(case.artifact.spec)
    said["uncertainty"] |= changes
    return replace(case, artifact=Artifact(case.artifact.onnx, json.dumps(said).encode()))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_promised_coverage_is_measured_and_is_evidence(task: str) -> None:
    verdict = that_promises(task).judge()
    (found,) = [result for result in verdict.results if result.gate == "coverage"]
    assert verdict.passed
    assert found.passed
    assert found.value == verdict.metrics["coverage"]
    assert found.interval is not None
    assert found.interval[1] >= 0.8
    assert "0.8 is promised" in found.message


@pytest.mark.parametrize(
    ("task", "bound"), [("classification", 1.1), ("regression", 0.1)], ids=["no label", "too narrow"]
)
def test_a_promise_that_is_not_kept_is_a_rejection(task: str, bound: float) -> None:
    verdict = with_promise(that_promises(task), bound=bound).judge()
    assert [result.gate for result in verdict.results if not result.passed] == ["coverage"]


def test_chance_does_not_break_a_promise() -> None:
    """A value somewhat below what is promised, whose interval reaches it."""
    case = that_promises("regression")
    measured = case.judge().metrics["coverage"]
    assert with_promise(case, coverage=min(measured + 0.06, 0.99)).judge().passed
    assert not with_promise(case, coverage=min(measured + 0.2, 0.999)).judge().passed


def test_nothing_is_asked_of_a_version_that_promises_nothing() -> None:
    verdict = of_values().judge()
    assert "coverage" not in {result.gate for result in verdict.results} | verdict.metrics.keys()
