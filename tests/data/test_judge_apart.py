"""A file may hold far more than its size, or crash its parser: it has a verdict all the same, and nothing else dies."""

from __future__ import annotations

import gzip
import io
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serin.data import apart
from serin.data.apart import Bounds
from serin.data.intake import Judgement, judge_file
from serin.data.judge_apart import JudgeApart
from serin.data.limits import DEFAULT_LIMITS, Limits
from serin.registry.records import ReceiptStatus
from tests.builders import a_contract
from tests.data.test_intake import CONTRACT, a_table, as_csv

BOUNDS = Bounds(memory_mb=1_500, seconds=60, disk_mb=256)


def as_parquet(table: pa.Table, **options: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", **options)
    return buffer.getvalue()


def judge(content: bytes, folder: Path, bounds: Bounds = BOUNDS, limits: Limits = DEFAULT_LIMITS) -> Judgement:
    shutil.rmtree(folder / "kept", ignore_errors=True)
    (folder / "upload").write_bytes(content)
    return JudgeApart(bounds, limits)(folder / "upload", folder / "kept", CONTRACT)


def code(content: bytes, folder: Path, bounds: Bounds = BOUNDS, limits: Limits = DEFAULT_LIMITS) -> str:
    judgement = judge(content, folder, bounds, limits)
    assert judgement.status is ReceiptStatus.QUARANTINED
    assert judgement.reasons[0].fix
    return judgement.reasons[0].code


def test_the_verdict_is_the_same_as_here(tmp_path: Path) -> None:
    table = a_table()
    table.loc[3, "age"] = 900
    for content in (b"", b"a,b\n1,2\n", as_csv(table)):
        shutil.rmtree(tmp_path / "kept here", ignore_errors=True)
        (tmp_path / "here").write_bytes(content)
        here = judge_file(tmp_path / "here", tmp_path / "kept here", CONTRACT)
        assert judge(content, tmp_path) == here
    kept = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("kept", "kept here")]
    assert kept[0] == kept[1] != []


def test_nulls_that_expand_are_refused_by_what_the_file_says_of_itself(tmp_path: Path) -> None:
    content = as_parquet(pa.table({f"c{place}": pa.nulls(30_000, pa.float64()) for place in range(1000)}))
    assert len(content) < 1_000_000
    assert code(content, tmp_path, limits=Limits(max_cells=24_000_000)) == "TOO_LARGE"
    assert code(content, tmp_path) == "MISSING_COLUMN", "read through, as far as it goes"


def test_one_long_text_in_many_rows_is_counted_as_often_as_it_stands_there(tmp_path: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 1000])
    content = as_parquet(pa.table({"a": text.cast(pa.string())}))
    assert len(content) < 20_000
    assert code(content, tmp_path, limits=Limits(max_bytes=1_000_000)) == "TOO_LARGE"


def test_a_page_that_unpacks_to_more_memory_than_there_is_is_refused(tmp_path: Path) -> None:
    content = as_parquet(pa.table({"a": pa.array(["x" * 700_000_000])}), use_dictionary=False, write_statistics=False)
    assert len(content) < 200_000
    assert code(content, tmp_path, replace(BOUNDS, memory_mb=900)) == "TOO_LARGE"


def test_a_small_file_of_endless_rows_ends_at_a_limit(tmp_path: Path) -> None:
    header, row = b",".join(name.encode() for name in a_table().columns), b"1,40,1,school,yes\n"
    bomb = gzip.compress(header + b"\n" + row * 3_000_000)
    assert len(bomb) < 300_000
    assert code(bomb, tmp_path, limits=Limits(max_bytes=10_000_000)) == "TOO_LARGE"
    assert code(bomb, tmp_path, replace(BOUNDS, seconds=2)) == "TOO_LARGE", "also where no limit of the table is met"
    assert code(bomb, tmp_path, replace(BOUNDS, disk_mb=1)) == "TOO_LARGE"


@pytest.mark.parametrize(
    ("ends_by", "expected"),
    [(signal.SIGSEGV, "PARSER_CRASH"), (signal.SIGABRT, "PARSER_CRASH"), (signal.SIGKILL, "TOO_LARGE")],
)
def test_a_process_that_dies_of_a_file_takes_nothing_with_it(
    ends_by: signal.Signals, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(apart, "_CHILD", f"import os; os.kill(os.getpid(), {int(ends_by)})")
    assert code(as_csv(a_table()), tmp_path) == expected


def test_columns_that_hold_no_single_values_are_not_even_read(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(a_table(), preserve_index=False)
    judgement = judge(as_parquet(table.append_column("tags", pa.array([[1]] * 200))), tmp_path)
    assert (judgement.status, [note.code for note in judgement.notes]) == (ReceiptStatus.ACCEPTED, ["NEW_COLUMN"])
    assert code(as_parquet(table.set_column(1, "age", pa.array([[1]] * 200))), tmp_path) == "TYPE"


def test_what_the_child_is_started_with_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert "hush" not in apart._environment().values()


def test_a_contract_and_a_profile_get_there_whole(tmp_path: Path) -> None:
    contract = a_contract(read={"decimal": ",", "missing": ["-"]}, data={"min_rows": 10})
    text = "age;salary;education;approved\n" + '40;"1.5";school;yes\n41;-;college;no\n' * 20
    (tmp_path / "upload").write_bytes(text.replace("1.5", "1,5").encode())
    apart_judge = JudgeApart(BOUNDS)
    first = apart_judge(tmp_path / "upload", tmp_path / "kept", contract)
    assert first.status is ReceiptStatus.ACCEPTED
    again = apart_judge(tmp_path / "upload", tmp_path / "again", contract, first.profile)
    assert (again.content, again.profile) == (first.content, first.profile)
