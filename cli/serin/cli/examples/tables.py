"""Which tables do the examples upload? Generated loans, and two real ones that come with scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes

from serin.cli.examples.agrawal import CARS, EDUCATION, ZIPCODES, draw_people, is_group_a, perturb

FIRST_APPLICATION = "2026-01-01"
MINUTES_APART = 10


def loans(rows: int, function: int = 2, seed: int = 0, *, first: int = 0, missing_share: float = 0.02) -> pd.DataFrame:
    """Generate applications for loans, `approved` under one of Agrawal's functions, with a perturbation of 5%.

    first: how many applicants came before, so that a later table has later times and other ids. missing_share: of
    salary, car and house value each, the share that is left empty.
    """
    random = np.random.default_rng([seed, first])
    people = draw_people(rows, random)
    approved = is_group_a(people, function)
    seen = perturb(people, 0.05, random)
    number = np.arange(first, first + rows)
    started = pd.Timestamp(FIRST_APPLICATION, tz="UTC")
    times = started + pd.to_timedelta(number * MINUTES_APART, unit="min")
    frame = pd.DataFrame(
        {
            "applicant_id": [f"A{place:07d}" for place in number],
            "applied_at": times.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "salary": seen.salary.round(),
            "commission": seen.commission.round().astype(int),
            "age": seen.age.astype(int),
            "education": np.array(EDUCATION)[seen.elevel],
            "car": pd.Series(np.array(CARS)[seen.car], dtype="str"),
            "zipcode": np.array(ZIPCODES)[seen.zipcode],
            "house_value": seen.hvalue.round(),
            "house_years": seen.hyears.astype(int),
            "loan": seen.loan.round().astype(int),
            "approved": np.where(approved, "yes", "no"),
        }
    )
    for name in ("salary", "car", "house_value"):
        frame.loc[random.random(rows) < missing_share, name] = None
    return frame.astype({"salary": "Int64", "house_value": "Int64"})


def tumours() -> pd.DataFrame:
    """Give the Wisconsin breast cancer table: 569 tumours, 30 measurements of cell nuclei, `diagnosis`."""
    data = load_breast_cancer(as_frame=True)
    frame: pd.DataFrame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    return frame.assign(diagnosis=data.target_names[data.target])


def diabetes() -> pd.DataFrame:
    """Give the diabetes table of Efron et al. (2004): 442 patients, and the disease's `progression` a year later."""
    data = load_diabetes(as_frame=True, scaled=False)
    frame: pd.DataFrame = data.data
    return frame.assign(sex=frame["sex"].astype(int), progression=data.target)


def example(name: str, *, rows: int, first: int = 0) -> pd.DataFrame:
    """Give the table of an example; of loans so many rows, after `first` applicants."""
    return loans(rows, first=first) if name == "loans" else {"tumours": tumours, "diabetes": diabetes}[name]()


def to_csv(frame: pd.DataFrame) -> bytes:
    """Write a table as the CSV that is uploaded."""
    return frame.to_csv(index=False, lineterminator="\n").encode()
