"""The life of a model on the twin: a table comes in, a version passes its gates, and it answers.

Add your own: a small table of examples, or one that is made here, for each model that you would miss.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serin.cli.examples import tables
from serin.cli.testing import on_twin
from serin.client.environment import EnvironmentClient


@pytest.fixture(scope="session")
def environment() -> Iterator[EnvironmentClient]:
    """The cloud on this machine, which begins empty; `serin local up` is another one."""
    with on_twin() as environment:
        yield environment


def test_loans_learns_and_answers(environment: EnvironmentClient) -> None:
    model, applications = environment.model("loans"), tables.example("loans", rows=2000, first=0)
    upload = model.upload(applications)
    assert upload.is_good, upload
    answers = model.predict(applications.head(5))
    assert set(answers["prediction"]) <= {"yes", "no"}
    assert answers["score"].between(0, 1).all()


def test_loans_refuses_what_it_cannot_mean(environment: EnvironmentClient) -> None:
    applications = tables.example("loans", rows=100, first=0)
    upload = environment.model("loans").upload(applications.assign(age=-1))
    assert upload.receipt is not None
    assert upload.receipt.status == "quarantined"
