"""An upload gets one verdict, with its reasons, the rows set aside, and the summary of the rest."""

from __future__ import annotations

import gzip
import io
import json
import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serin.data.limits import Limits, Unreadable
from serin.data.read import read_table
from serin.data.storage import dump_table
from serin.profile.profile import Categories, Numbers, Profile
from serin.registry.records import ReceiptStatus
from tests.builders import a_contract
from tests.judging import expect, judge_upload

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


_SOME = 12
_FAR = 2**62
COLUMNS = {
    "times of any year": pa.array([_FAR, -_FAR, 0] * 4, pa.timestamp("us")),
    "the first and the last time": pa.array([1 - 2**63, 2**63 - 1] * 6, pa.timestamp("us", "UTC")),
    "times too far to count": pa.array([_FAR] * _SOME, pa.timestamp("ms")),
    "nanoseconds": pa.array([_FAR + 1, None] * 6, pa.timestamp("ns")),
    "a zone that is none": pa.array([0] * _SOME, pa.timestamp("us", "Mars/Base")),
    "the last date": pa.array([2**31 - 1] * _SOME, pa.int32()).cast(pa.date32()),
    "times of day": pa.array([1] * _SOME, pa.time32("s")),
    "durations": pa.array([1] * _SOME, pa.duration("s")),
    "half floats": pa.array([1.5] * _SOME, pa.float32()).cast(pa.float16()),
    "decimals": pa.array([Decimal("1e60")] * _SOME, pa.decimal256(76, 2)),
    "the largest integers": pa.array([2**64 - 1, 0] * 6, pa.uint64()),
    "small integers": pa.array([-1, None, 1] * 4, pa.int8()),
    "nothing": pa.nulls(_SOME),
    "bytes": pa.array([b"\xff"] * _SOME),
    "lists": pa.array([[1]] * _SOME),
    "no numbers": pa.array([math.nan, math.inf] * 6),
    "booleans": pa.array([True, None] * 6),
    "codes of times": pa.array([0, _FAR] * 6, pa.timestamp("us")).dictionary_encode(),
    "odd text": pa.array(["a\x00b", "\ud7ff", ""] * 4),
}


TOO_FAR = ("times too far to count", "the last date")


@pytest.mark.parametrize("column", COLUMNS)
def test_any_column_of_parquet_is_judged_whatever_it_is_for(column: str) -> None:
    labels = pa.array(["yes", "no"] * (_SOME // 2))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"x": COLUMNS[column], "age": pa.array([30] * _SOME), "approved": labels}), buffer)
    if column in TOO_FAR:
        with pytest.raises(Unreadable, match="cannot be read"):
            read_table(buffer.getvalue())
        return
    raw = read_table(buffer.getvalue())
    for kind in ("time", "entity", "target", "category", "number", "integer", "boolean"):
        features: dict[str, Any] = {"age": {"type": "integer"}}
        roles: dict[str, Any] = {kind: "x"}
        if kind not in ("time", "entity", "target"):
            features["x"], roles = {"type": kind, "missing": "allow"}, {}
        contract = a_contract(features=features, data={"min_rows": 10, "max_bad_rows": "90%"}, **roles)
        finding = expect(raw, contract)
        assert finding.refusals or finding.table is not None
        if finding.is_bad.any():
            assert finding.why.all()


def test_what_nothing_foresaw_is_said_to_be_our_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("Ann, 41, of Berlin")

    monkeypatch.setattr("serin.data.expect.Expectation.look", fail)
    judgement = judge_upload(as_csv(a_table()), CONTRACT)
    (reason,) = judgement.reasons
    assert (judgement.status, judgement.table, reason.code) == (ReceiptStatus.QUARANTINED, None, "INTERNAL")
    assert "a fault of Serin's own: KeyError in serin/data/intake.py, line " in reason.message
    assert "Ann" not in reason.message


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


def as_zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


def as_lines(frame: pd.DataFrame) -> bytes:
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def spoiled() -> pd.DataFrame:
    """A table with faults of every kind in places that are far apart, and a class that one row has."""
    frame = a_table(400).astype({"age": object, "salary": object})
    frame.loc[[3, 250], "age"] = "old"
    frame.loc[[10, 399], "salary"] = 1e39
    frame.loc[100, "person"] = None
    frame.loc[77, "approved"] = "perhaps"
    return frame.assign(comment=[f'row {place}, 5" wide' if place % 50 == 0 else "" for place in range(400)])


@pytest.mark.parametrize("write", [as_csv, as_lines], ids=["csv", "json lines"])
@pytest.mark.parametrize("part", [200, 3_000])
def test_it_does_not_matter_how_a_table_is_parted(write: Any, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    content = write(spoiled())
    whole = judge_upload(content, CONTRACT)
    assert {reason.code for reason in whole.reasons} == {"TYPE", "DOMAIN", "MISSING", "RARE_CLASS"}
    monkeypatch.setattr("serin.data.text.PART", part)
    monkeypatch.setattr("serin.data.json_lines.ROWS_AT_ONCE", part // 50)
    parted = judge_upload(content, CONTRACT)
    assert replace(parted, table=None, rest=None) == replace(whole, table=None, rest=None)
    assert parted.table is not None
    assert whole.table is not None
    pd.testing.assert_frame_equal(parted.table, whole.table)
    assert parted.rest is not None
    assert whole.rest is not None
    pd.testing.assert_frame_equal(parted.rest, whole.rest)


def test_a_class_that_one_row_of_each_part_has_is_none_of_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = a_table(400)
    frame.loc[[5, 395], "approved"] = "perhaps"
    monkeypatch.setattr("serin.data.text.PART", 1_000)
    assert judge_upload(as_csv(frame), CONTRACT).reasons == ()


def test_packed_files_are_judged_as_what_they_hold() -> None:
    content = as_csv(a_table())
    plain = judge_upload(content, CONTRACT)
    for packed in (gzip.compress(content), as_zstd(content), as_zstd(content[:99]) + as_zstd(content[99:])):
        assert judge_upload(packed, CONTRACT).content == plain.content
    assert judge_upload(gzip.compress(as_parquet(a_table())), CONTRACT).content == plain.content
    assert judge_upload(as_zstd(content)[:-9], CONTRACT).reasons[0].code == "TRUNCATED"
    damaged = bytearray(as_zstd(content))
    damaged[len(damaged) // 2] ^= 255
    assert judge_upload(bytes(damaged), CONTRACT).reasons[0].code in ("BAD_FORMAT", "TRUNCATED", "RAGGED", "ENCODING")


def test_the_same_rows_in_any_form_are_one_dataset() -> None:
    frame = a_table().astype({"education": "str"})
    forms = [as_csv(frame), as_parquet(frame), as_lines(frame)]
    assert len({judge_upload(form, CONTRACT).content for form in forms}) == 1
    assert judge_upload(as_csv(frame[::-1]), CONTRACT).content != judge_upload(forms[0], CONTRACT).content
