"""The generated loans are what the paper describes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serin.cli.examples.agrawal import FUNCTIONS, RANGES, People, draw_people, is_group_a, perturb
from serin.cli.examples.tables import diabetes, loans, to_csv, tumours


def someone(**changes: float) -> People:
    """One applicant: forty-five, with 60,000 a year, a loan of 100,000 and no house to speak of."""
    values = {
        "salary": 60_000.0,
        "commission": 20_000.0,
        "age": 45.0,
        "elevel": 2,
        "car": 0,
        "zipcode": 0,
        "hvalue": 500_000.0,
        "hyears": 10.0,
        "loan": 100_000.0,
        **changes,
    }
    return People(**{name: np.array([value]) for name, value in values.items()})


# Each worked out by hand from the paper's definitions.
@pytest.mark.parametrize(
    ("function", "changes", "expected"),
    [
        (1, {"age": 39.9}, True),
        (1, {"age": 40}, False),
        (1, {"age": 60}, True),
        (2, {"age": 30, "salary": 50_000}, True),
        (2, {"age": 30, "salary": 100_001}, False),
        (2, {"age": 50, "salary": 74_999}, False),
        (2, {"age": 50, "salary": 125_000}, True),
        (2, {"age": 60, "salary": 25_000}, True),
        (2, {"age": 60, "salary": 75_001}, False),
        (3, {"age": 30, "elevel": 1}, True),
        (3, {"age": 30, "elevel": 2}, False),
        (3, {"age": 50, "elevel": 0}, False),
        (3, {"age": 50, "elevel": 3}, True),
        (3, {"age": 70, "elevel": 4}, True),
        (3, {"age": 70, "elevel": 1}, False),
        (4, {"age": 30, "elevel": 0, "salary": 30_000}, True),
        (4, {"age": 30, "elevel": 3, "salary": 30_000}, False),
        (4, {"age": 50, "elevel": 2, "salary": 110_000}, False),
        (4, {"age": 50, "elevel": 4, "salary": 110_000}, True),
        (4, {"age": 70, "elevel": 2, "salary": 90_000}, True),
        (4, {"age": 70, "elevel": 0, "salary": 90_000}, False),
        (5, {"age": 30, "salary": 60_000, "loan": 150_000}, True),
        (5, {"age": 30, "salary": 120_000, "loan": 150_000}, False),
        (5, {"age": 50, "salary": 80_000, "loan": 250_000}, True),
        (5, {"age": 50, "salary": 30_000, "loan": 250_000}, False),
        (5, {"age": 70, "salary": 30_000, "loan": 450_000}, True),
        (5, {"age": 70, "salary": 100_000, "loan": 450_000}, False),
        (6, {"age": 30, "salary": 40_000, "commission": 20_000}, True),
        (6, {"age": 30, "salary": 20_000, "commission": 20_000}, False),
        (7, {"salary": 60_000, "commission": 20_000, "loan": 168_000}, False),
        (7, {"salary": 60_000, "commission": 20_000, "loan": 167_000}, True),
        (8, {"salary": 30_000, "commission": 20_000, "elevel": 2}, True),
        (8, {"salary": 30_000, "commission": 20_000, "elevel": 3}, False),
        (9, {"salary": 30_000, "commission": 20_000, "elevel": 2, "loan": 67_000}, True),
        (9, {"salary": 30_000, "commission": 20_000, "elevel": 2, "loan": 68_000}, False),
        (10, {"salary": 20_000, "commission": 0, "elevel": 4, "hyears": 20}, False),
        (10, {"salary": 20_000, "commission": 0, "elevel": 4, "hyears": 23}, True),
    ],
)
def test_each_function_decides_as_published(function: int, changes: dict[str, float], expected: bool) -> None:
    assert is_group_a(someone(**changes), function).tolist() == [expected]


def test_attributes_are_distributed_as_published() -> None:
    people = draw_people(20_000, np.random.default_rng(0))
    assert (people.commission[people.salary >= 75_000] == 0).all()
    assert people.commission[people.salary < 75_000].min() >= 10_000
    assert people.salary.mean() == pytest.approx(85_000, rel=0.01)
    assert people.age.mean() == pytest.approx(50, rel=0.01)
    assert set(people.elevel) == set(range(5))
    assert set(people.zipcode) == set(range(9))
    factor = people.hvalue / (9 - people.zipcode) / 100_000
    assert (factor.min(), factor.max()) == pytest.approx((0.5, 1.5), abs=0.01)


def test_every_function_divides_the_people() -> None:
    people = draw_people(20_000, np.random.default_rng(0))
    assert all(0.2 < is_group_a(people, function).mean() < 0.999 for function in FUNCTIONS)


def test_perturbation_moves_numbers_by_at_most_half_the_factor_and_keeps_their_range() -> None:
    people = draw_people(5_000, np.random.default_rng(0))
    moved = perturb(people, 0.05, np.random.default_rng(1))
    for name, (low, high) in RANGES.items():
        shift = np.abs(getattr(moved, name) - getattr(people, name))
        assert 0 < shift.max() <= 0.025 * (high - low), name
        assert low <= getattr(moved, name).min(), name
        assert getattr(moved, name).max() <= high, name
    assert (moved.commission[people.commission == 0] == 0).all()
    assert replace(moved, salary=people.salary).elevel is people.elevel


def test_the_same_arguments_give_the_same_table() -> None:
    assert to_csv(loans(50, seed=3)) == to_csv(loans(50, seed=3))
    assert to_csv(loans(50, seed=3)) != to_csv(loans(50, seed=4))


def test_another_function_is_another_concept_over_the_same_people() -> None:
    one, other = loans(500, function=2), loans(500, function=5)
    assert one.drop(columns="approved").equals(other.drop(columns="approved"))
    assert (one["approved"] != other["approved"]).mean() > 0.2


def test_a_later_table_has_later_times_and_other_applicants() -> None:
    early, late = loans(100), loans(100, first=100)
    assert early["applied_at"].max() < late["applied_at"].min()
    assert not set(early["applicant_id"]) & set(late["applicant_id"])


def test_some_values_are_missing() -> None:
    missing = loans(2_000).isna().mean()
    assert set(missing[missing > 0].index) == {"salary", "car", "house_value"}
    assert missing.max() < 0.04


def test_the_real_tables_are_whole() -> None:
    assert tumours().shape == (569, 31)
    assert set(tumours()["diagnosis"]) == {"malignant", "benign"}
    assert diabetes().shape == (442, 11)
    assert set(diabetes()["sex"]) == {1, 2}
