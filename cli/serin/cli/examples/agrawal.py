"""Which applicants belong to group A? Ten published concepts over made-up people, for tables of any size.

Source: R. Agrawal, T. Imielinski and A. Swami, "Database Mining: A Performance Perspective", IEEE Transactions on
Knowledge and Data Engineering 5(6), 1993. Attributes, their distributions, the ten functions and the perturbation are
the paper's. The names of education levels and cars are ours; the paper numbers them. So are two details that it leaves
open: the factor of a house's value by zipcode, and that perturbed values are kept within their range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

EDUCATION = ("primary", "school", "college", "degree", "doctorate")
# fmt: off
CARS = (
    "Alpine", "Audi", "BMW", "Citroen", "Dacia", "Fiat", "Ford", "Honda", "Hyundai", "Jaguar",
    "Kia", "Lancia", "Mazda", "Opel", "Peugeot", "Renault", "Seat", "Skoda", "Toyota", "Volvo",
)
# fmt: on
ZIPCODES = tuple(f"0{1200 + 100 * place}" for place in range(9))


@dataclass(frozen=True, slots=True)
class People:
    """Applicants, one array an attribute. elevel, car and zipcode count from 0; sums are in dollars, ages in years."""

    salary: Floats
    commission: Floats
    age: Floats
    elevel: Ints
    car: Ints
    zipcode: Ints
    hvalue: Floats
    hyears: Floats
    loan: Floats


RANGES = {
    "salary": (20_000, 150_000),
    "commission": (0, 75_000),
    "age": (20, 80),
    "hvalue": (0, 1_350_000),
    "hyears": (1, 30),
    "loan": (0, 500_000),
}


def draw_people(rows: int, random: np.random.Generator) -> People:
    """Draw applicants as the paper distributes them."""
    salary = random.uniform(*RANGES["salary"], rows)
    commission = np.where(salary >= 75_000, 0.0, random.uniform(10_000, 75_000, rows))
    zipcode = random.integers(0, len(ZIPCODES), rows)
    return People(
        salary=salary,
        commission=commission,
        age=random.uniform(*RANGES["age"], rows),
        elevel=random.integers(0, len(EDUCATION), rows),
        car=random.integers(0, len(CARS), rows),
        zipcode=zipcode,
        hvalue=random.uniform(0.5, 1.5, rows) * (9 - zipcode) * 100_000,
        hyears=random.uniform(*RANGES["hyears"], rows),
        loan=random.uniform(*RANGES["loan"], rows),
    )


def perturb(people: People, factor: float, random: np.random.Generator) -> People:
    """Move each number by up to half of `factor` times the width of its range, so that the concept is not exact.

    A commission of nothing stays nothing.
    """

    def moved(values: Floats, attribute: str) -> Floats:
        low, high = RANGES[attribute]
        shift = random.uniform(-0.5, 0.5, len(values)) * factor * (high - low)
        return np.clip(values + shift, low, high)

    return replace(
        people,
        salary=moved(people.salary, "salary"),
        commission=np.where(people.commission == 0, 0.0, moved(people.commission, "commission")),
        age=moved(people.age, "age"),
        hvalue=moved(people.hvalue, "hvalue"),
        hyears=moved(people.hyears, "hyears"),
        loan=moved(people.loan, "loan"),
    )


def is_group_a(people: People, function: int) -> Mask:
    """Tell who belongs to group A under one of the functions 1 to 10."""
    return FUNCTIONS[function](people)


def _within(values: Floats, low: float, high: float) -> Mask:
    return (low <= values) & (values <= high)


def _by_age(people: People, *, young: Mask, middle: Mask, old: Mask) -> Mask:
    return np.where(people.age < 40, young, np.where(people.age < 60, middle, old))


def _function_1(people: People) -> Mask:
    return (people.age < 40) | (people.age >= 60)


def _function_2(people: People) -> Mask:
    return _income_by_age(people, people.salary)


def _function_3(people: People) -> Mask:
    level = people.elevel
    return _by_age(people, young=level <= 1, middle=(level >= 1) & (level <= 3), old=level >= 2)


def _function_4(people: People) -> Mask:
    low, mid, high = (_within(people.salary, least, least + 50_000) for least in (25_000, 50_000, 75_000))
    level = people.elevel
    return _by_age(
        people,
        young=np.where(level <= 1, low, mid),
        middle=np.where((level >= 1) & (level <= 3), mid, high),
        old=np.where(level >= 2, mid, low),
    )


def _function_5(people: People) -> Mask:
    salary = people.salary
    low, mid, high = (_within(people.loan, least, least + 200_000) for least in (100_000, 200_000, 300_000))
    return _by_age(
        people,
        young=np.where(_within(salary, 50_000, 100_000), low, mid),
        middle=np.where(_within(salary, 75_000, 125_000), mid, high),
        old=np.where(_within(salary, 25_000, 75_000), high, low),
    )


def _function_6(people: People) -> Mask:
    return _income_by_age(people, people.salary + people.commission)


def _function_7(people: People) -> Mask:
    return _two_thirds(people) - 0.2 * people.loan - 20_000 > 0


def _function_8(people: People) -> Mask:
    return _two_thirds(people) - 5_000 * people.elevel - 20_000 > 0


def _function_9(people: People) -> Mask:
    return _two_thirds(people) - 5_000 * people.elevel - 0.2 * people.loan - 10_000 > 0


def _function_10(people: People) -> Mask:
    equity = 0.1 * people.hvalue * np.maximum(people.hyears - 20, 0)
    return _two_thirds(people) - 5_000 * people.elevel + 0.2 * equity - 10_000 > 0


def _income_by_age(people: People, income: Floats) -> Mask:
    return _by_age(
        people,
        young=_within(income, 50_000, 100_000),
        middle=_within(income, 75_000, 125_000),
        old=_within(income, 25_000, 75_000),
    )


def _two_thirds(people: People) -> Floats:
    return 0.67 * (people.salary + people.commission)


FUNCTIONS: dict[int, Callable[[People], Mask]] = {
    1: _function_1,
    2: _function_2,
    3: _function_3,
    4: _function_4,
    5: _function_5,
    6: _function_6,
    7: _function_7,
    8: _function_8,
    9: _function_9,
    10: _function_10,
}
