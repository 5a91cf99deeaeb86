"""An upload gets one verdict, with its reasons, the rows set aside, and the summary of the rest."""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pandas as pd
import pytest

from serin.data.intake import judge_upload
from serin.data.read import Limits
from serin.data.storage import dump_table
from serin.profile.profile import Categories, Numbers, Profile
from serin.registry.records import ReceiptStatus
from tests.builders import a_contract

CONTRACT = a_contract(entity="person", data={"min_rows": 10, "max_bad_rows": "5%"})


def a_table(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "person": [f"{number:03d}" for number in range(rows)],
            "age": random.integers(18, 90, rows),
            "salary": np.where(random.random(rows) < 0.1, np.nan, random.normal(3000, 100, rows)),
            "education": random.choice(["school", "college", "Höhere, Schule"], rows),
            "approved": random.choice(["yes", "no"], rows),
        }
    )


def as_csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def as_parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def test_a_good_upload_is_accepted() -> None:
    judgement = judge_upload(as_csv(a_table()), CONTRACT)
    assert judgement.status is ReceiptStatus.ACCEPTED
    assert (judgement.rows, judgement.good_rows, judgement.bad_rows) == (200, 200, 0)
    assert (judgement.reasons, judgement.notes, judgement.rejected_csv) == ((), (), None)
    assert judgement.table is not None
    assert judgement.table["salary"].tolist() == pytest.approx(a_table()["salary"].tolist(), nan_ok=True, rel=0, abs=0)


def test_the_same_rows_are_the_same_table_however_they_were_sent() -> None:
    frame = a_table()
    sent = [as_csv(frame), gzip.compress(as_csv(frame)), frame.to_csv(sep=";").encode(), as_parquet(frame)]
    tables = [judge_upload(content, CONTRACT).table for content in sent]
    assert len({dump_table(table) for table in tables if table is not None}) == 1
    assert all(table is not None for table in tables)


def test_bad_rows_are_set_aside_as_they_were_with_line_and_reason() -> None:
    frame = a_table().astype({"age": "object"})
    frame.loc[3, "age"] = "old, very"
    frame.loc[7, ["age", "approved"]] = ["007", None]
    judgement = judge_upload(as_csv(frame), CONTRACT)
    assert judgement.status is ReceiptStatus.ACCEPTED
    assert (judgement.good_rows, judgement.bad_rows) == (198, 2)
    assert judgement.rejected_csv is not None
    rejected = pd.read_csv(io.BytesIO(judgement.rejected_csv), dtype="str", keep_default_na=False)
    assert rejected["line"].tolist() == ["5", "9"]
    assert rejected["reason"].tolist() == ["age: TYPE", "age: DOMAIN; approved: MISSING"]
    assert rejected["age"].tolist() == ["old, very", "007"]
    assert judgement.table is not None
    assert judgement.table["person"].tolist()[3:7] == ["004", "005", "006", "008"]


def test_an_upload_with_too_many_bad_rows_gives_no_table_and_loses_no_row() -> None:
    frame = a_table().astype({"age": "object"})
    frame.loc[:19, "age"] = "x"
    judgement = judge_upload(as_csv(frame), CONTRACT)
    assert judgement.status is ReceiptStatus.QUARANTINED
    assert (judgement.table, judgement.profile) == (None, None)
    assert [reason.code for reason in judgement.reasons] == ["TOO_MANY_BAD_ROWS", "TYPE"]
    assert judgement.rejected_csv is not None
    assert judgement.rejected_csv.count(b"\n") == 21


@pytest.mark.parametrize(
    ("content", "code", "rows"),
    [
        (b"", "EMPTY", ()),
        (as_csv(a_table())[:-5], "TRUNCATED", (201,)),
        (as_csv(a_table().drop(columns="age")), "MISSING_COLUMN", ()),
        (a_table().to_csv(index=False, header=False).encode(), "NO_HEADER", (1,)),
        (as_csv(a_table(5)), "TOO_FEW_ROWS", ()),
        (as_csv(a_table().assign(approved="no")), "ONE_CLASS", ()),
    ],
)
def test_an_upload_that_cannot_be_used_is_quarantined_with_its_code(
    content: bytes, code: str, rows: tuple[int, ...]
) -> None:
    judgement = judge_upload(content, CONTRACT)
    assert judgement.status is ReceiptStatus.QUARANTINED
    assert judgement.table is None
    assert (judgement.reasons[0].code, judgement.reasons[0].rows) == (code, rows)


def test_a_limit_is_kept() -> None:
    judgement = judge_upload(as_csv(a_table()), CONTRACT, Limits(max_rows=199))
    assert [reason.code for reason in judgement.reasons] == ["TOO_LARGE"]


def test_reasons_can_be_written_as_json() -> None:
    (reason,) = judge_upload(as_csv(a_table().drop(columns="age")), CONTRACT).reasons
    written = json.loads(json.dumps(reason.to_dict()))
    assert set(written) == {"code", "message", "fix", "column", "rows", "count"}
    assert written["column"] == "age"


def test_the_profile_summarises_the_good_rows_and_names_no_person() -> None:
    profile = judge_upload(as_csv(a_table()), CONTRACT).profile
    assert profile is not None
    assert set(profile.columns) == {"age", "salary", "education", "approved"}
    assert isinstance(profile.columns["salary"], Numbers)
    assert profile.columns["salary"].missing == a_table()["salary"].isna().sum()
    assert isinstance(profile.columns["approved"], Categories)
    assert sum(profile.columns["approved"].counts.values()) == 200
    assert Profile.from_json(profile.to_json()) == profile


def test_the_profiles_of_two_uploads_add_up_to_that_of_both() -> None:
    parts = [a_table(100, seed) for seed in (1, 2)]
    profiles = [judge_upload(as_csv(part), CONTRACT).profile for part in (*parts, pd.concat(parts))]
    assert all(profiles)
    assert profiles[0] + profiles[1] == profiles[2]


def test_rows_before_count_only_where_uploads_append() -> None:
    profile = judge_upload(as_csv(a_table()), CONTRACT).profile
    one_class = as_csv(a_table().assign(approved="no"))
    replacing = CONTRACT.model_copy(update={"data": CONTRACT.data.model_copy(update={"uploads": "replace"})})
    assert judge_upload(one_class, CONTRACT, previous=profile).status is ReceiptStatus.ACCEPTED
    assert judge_upload(one_class, replacing, previous=profile).status is ReceiptStatus.QUARANTINED
