"""A model is asked and fed in the forms that people hold in a notebook."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from serin.client.answers import Prediction
from serin.client.model import Environment, ModelClient
from serin.client.packages import MissingPackage
from serin.client.project import AskedWrongly
from serin.client.tables import frame, read_content
from serin.data.read import read_table
from serin.errors import InvalidRows, Refused, RowProblem

DESCRIBED = {
    "classes": ["no", "yes"],
    "features": [
        {"name": "age", "type": "integer", "missing": True},
        {"name": "town", "type": "category", "missing": True, "values": ["Köln"]},
    ],
}
TABLE = pd.DataFrame({"age": [41.0, np.nan], "town": ["Köln", None], "who": ["a", "b"]}, index=[7, 3])
ROWS = [{"age": 41, "town": "Köln"}, {"age": None, "town": None}]


@dataclass
class FakeEnvironment:
    """Answers each row with its age, and refuses those who are 13. asked: the rows of each request."""

    asked: list[list[dict[str, Any]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        if method == "GET":
            return DESCRIBED
        self.paths.append(path)
        if path.endswith("/feedback"):
            self.asked.append(body["feedback"])
            return {"received": len(body["feedback"])}
        self.asked.append(body["rows"])
        wrong = [place for place, row in enumerate(body["rows"]) if row.get("age") == 13]
        if wrong:
            raise InvalidRows([RowProblem(place, "age", "RANGE", "is 13") for place in wrong])
        name = f"id{len(self.asked)}"
        answers = [
            {
                "id": f"{name}-{place}",
                "prediction": "yes",
                "score": 0.75,
                "probabilities": {"no": 0.25, "yes": 0.75},
                "set": {"labels": ["yes"], "coverage": 0.9},
                **({"base": 0.5, "base_rows": 64, "contributions": {"age": 0.25}} if "explain" in path else {}),
            }
            for place in range(len(body["rows"]))
        ]
        return {"model": "loans", "version": 2, "id": name, "predictions": answers}


@pytest.fixture
def environment() -> FakeEnvironment:
    return FakeEnvironment()


@pytest.fixture
def loans(environment: FakeEnvironment) -> ModelClient:
    return ModelClient(cast(Environment, environment), "loans")


def test_a_dataframe_is_answered_by_one_with_its_index(environment: FakeEnvironment, loans: ModelClient) -> None:
    answers = loans.predict(TABLE)
    assert environment.asked == [ROWS]
    assert list(answers.index) == [7, 3]
    names = ["prediction", "score", "probability_no", "probability_yes", "labels", "version", "id"]
    assert list(answers.columns) == names
    assert answers.loc[3].tolist() == ["yes", 0.75, 0.25, 0.75, ("yes",), 2, "id1-1"]


def test_an_explanation_has_a_column_for_each_feature(loans: ModelClient) -> None:
    answers = loans.predict(TABLE, explain=True)
    moved = answers[["base", "contribution_age", "contribution_town"]]
    assert moved.to_numpy().tolist() == [[0.5, 0.25, 0.0], [0.5, 0.25, 0.0]]


def test_no_rows_are_asked_about_nothing_but_what_the_endpoint_says(
    environment: FakeEnvironment, loans: ModelClient
) -> None:
    assert loans.predict([]) == []
    assert list(loans.predict(TABLE[:0]).index) == []
    assert environment.asked == [[], []]


def test_a_dict_is_answered_by_one_prediction_and_a_list_by_a_list(
    environment: FakeEnvironment, loans: ModelClient
) -> None:
    one = loans.predict({"age": np.int64(41), "town": float("nan")})
    assert environment.asked == [[{"age": 41, "town": None}]]
    assert one == Prediction(
        "yes", 0.75, version=2, id="id1-0", probabilities={"no": 0.25, "yes": 0.75}, labels=("yes",), coverage=0.9
    )
    assert repr(one).startswith("Prediction(prediction='yes', score=0.75, version=2, id='id1-0', probabilities=")
    assert [answer.id for answer in loans.predict(ROWS)] == ["id2-0", "id2-1"]
    with pytest.raises(AskedWrongly, match="a list of dicts"):
        loans.predict(cast(Any, "age=41"))


def test_many_rows_go_in_pieces_and_their_problems_are_named_by_their_place(
    environment: FakeEnvironment, loans: ModelClient
) -> None:
    rows: list[dict[str, Any]] = [{"age": age % 10} for age in range(2300)]
    assert len(loans.predict(rows)) == 2300
    assert list(map(len, environment.asked)) == [1000, 1000, 300]
    rows[1001]["age"] = rows[1005]["age"] = 13
    with pytest.raises(InvalidRows, match=r"^row 1001, age: is 13 \(and 1 more\)\n  row 1005, age: is 13$") as told:
        loans.predict(rows)
    assert [problem.row for problem in told.value.problems] == [1001, 1005]
    environment.asked.clear()
    loans.predict([{"town": "x" * 300_000} for _ in range(4)])
    assert list(map(len, environment.asked)) == [3, 1]


def test_feedback_is_a_table_or_a_dict(environment: FakeEnvironment, loans: ModelClient) -> None:
    assert loans.feedback({"id1-0": "yes", "id1-1": "no"}).received == 2
    assert loans.feedback(pd.DataFrame({"id": ["id1-0", "id1-1"], "truth": ["yes", "no"]})).received == 2
    assert (
        environment.asked[0]
        == environment.asked[1]
        == [
            {"id": "id1-0", "truth": "yes"},
            {"id": "id1-1", "truth": "no"},
        ]
    )


def test_a_table_is_sent_as_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("x\n1\n")
    assert read_content(file) == read_content(str(file)) == (b"x\n1\n", "mine.csv")
    content, name = read_content(TABLE)
    assert (content, name) == read_content(TABLE.reset_index(drop=True)), "the index is no column"
    assert name.endswith(".parquet")
    assert list(read_table(content).frame.columns) == ["age", "town", "who"]
    assert read_content(b"x\n1\n")[1].endswith(".csv")


def test_what_is_no_table_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AskedWrongly, match="there is no file"):
        read_content(tmp_path / "none.csv")
    with pytest.raises(AskedWrongly, match="not list"):
        read_content(cast(Any, [1]))
    with pytest.raises(Refused, match="values of one type"):
        read_content(pd.DataFrame({"x": [1, "a"]}))


def test_without_pandas_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingPackage, match="needs pandas, which is not installed"):
        frame([], ["x"])
