"""The commands as a person uses them, on the twin: what they say, and how they say no."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from serin.cli.examples import tables
from serin.client.environment import EnvironmentClient
from serin.client.words import gate_in_words, short
from serin.local.twin import Twin
from tests.e2e.conftest import Serin, make_project
from tests.e2e.test_power_cuts import small_table


@pytest.fixture(scope="module")
def credit(serin: Serin, there: EnvironmentClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model made by commands alone, with no file edited in between."""
    file = tmp_path_factory.mktemp("data") / "credit.csv"
    file.write_bytes(tables.to_csv(tables.loans(1000)))
    serin("init", "credit", "--data", str(file), "--target", "approved")
    serin("check", "credit")
    serin("upload", "credit", str(file), "--wait")
    return file


def test_from_init_to_an_answer_with_no_file_edited(serin: Serin, credit: Path) -> None:
    receipt = json.loads(serin("receipt", "credit", "credit.csv", "--json").stdout)
    assert (receipt["status"], receipt["rows"]) == ("accepted", 1000)
    few = credit.with_name("few.csv")
    few.write_text("\n".join(credit.read_text().splitlines()[:4]))
    answer = json.loads(serin("predict", "credit", "--file", str(few), "--json").stdout)
    assert len(answer["predictions"]) == 3
    assert {item["prediction"] for item in answer["predictions"]} <= {"yes", "no"}
    turned_out = few.with_name("turned_out.csv")
    turned_out.write_text("\n".join(["id,truth", *(f"{item['id']},yes" for item in answer["predictions"]), "?,no"]))
    sent = json.loads(serin("feedback", "credit", str(turned_out), "--json", status=1).stdout)
    assert (sent["received"], [each["line"] for each in sent["refused"]]) == (3, [5])


def test_why_goes_from_the_answer_back_to_the_upload(serin: Serin, credit: Path) -> None:
    told = serin("why", "credit@champion").stdout
    lineage = json.loads(serin("why", "credit@champion", "--json").stdout)
    upload = lineage["uploads"][0]
    for fact in (
        upload["key"],
        upload["dataset"],
        short(upload["upload_sha256"]),
        lineage["run"]["id"],
        short(lineage["manifest_sha256"]),
    ):
        assert fact in told
    for gate in lineage["gates"]:
        assert gate_in_words(gate["gate"]) in told
    assert "promote" in told


def test_drift_compares_what_was_asked_over_http_with_what_was_trained_on(
    serin: Serin, twin: Twin, credit: Path
) -> None:
    before = json.loads(serin("drift", "credit", "--json").stdout)
    assert (before["version"], before["verdict"]) == (1, "not enough")
    lines = credit.read_text().splitlines()
    for start in (1, 101):
        some = credit.with_name("some.csv")
        some.write_text("\n".join([lines[0], *lines[start : start + 100]]))
        serin("predict", "credit", "--file", str(some), "--json")
    twin.settle(60)
    after = json.loads(serin("drift", "credit", "--json").stdout)
    assert after["rows"] >= 200
    assert after["verdict"] == "steady"
    assert "salary" in {shift["column"] for shift in after["features"]}


def test_an_exported_champion_answers_as_the_endpoint(serin: Serin, credit: Path, tmp_path: Path) -> None:
    told = serin("export", "credit@champion", "--as", "onnx", "--to", str(tmp_path / "edge"), "--json").stdout
    assert "predict.py" in json.loads(told)["files"]
    rows = json.dumps(json.loads((tmp_path / "edge" / "golden.json").read_bytes())["rows"])
    endpoint = json.loads(serin("predict", "credit", "--rows", rows, "--json").stdout)
    command = [sys.executable, str(tmp_path / "edge" / "predict.py")]
    done = subprocess.run(command, input=f'{{"rows": {rows}}}', capture_output=True, text=True, check=True)
    edge = json.loads(done.stdout)
    for answer in (endpoint, edge):
        for prediction in (answer, *answer["predictions"]):
            del prediction["id"]
    assert edge == endpoint
    assert "not empty" in serin("export", "credit@1", "--as", "wheel", "--to", str(tmp_path / "edge"), status=2).stderr


def test_the_same_upload_again_is_a_duplicate(serin: Serin, credit: Path) -> None:
    done = serin("upload", "credit", str(credit), "--wait")
    assert "duplicate" in done.stdout


UPLOADS = {
    "EMPTY": b"",
    "ENCODING": "x,y\n1,é\n".encode("latin-1"),
    "BAD_FORMAT": b"%PDF-1.7\n1 0 obj\n",
    "MISSING_COLUMN": b"a,b\n1,2\n3,4\n",
}


@pytest.mark.parametrize("code", UPLOADS)
def test_a_bad_upload_is_kept_with_its_reasons_and_the_status_is_1(
    serin: Serin, there: EnvironmentClient, credit: Path, code: str
) -> None:
    file = credit.with_name(f"{code.lower()}.csv")
    file.write_bytes(UPLOADS[code])
    done = serin("upload", "credit", str(file), "--wait", "--json", status=1)
    receipt = json.loads(done.stdout)["steps"][0]
    assert (receipt["status"], receipt["reasons"][0]["code"]) == ("quarantined", code)
    assert receipt["reasons"][0]["fix"]
    assert there.cloud.data.get(f"{receipt['quarantine']}upload") == UPLOADS[code]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("upload", "credti", "x.csv"), 2, "did you mean credit?"),
        (("upload", "credit", "no-such-file.csv"), 2, "there is no file no-such-file.csv"),
        (("predict", "nobody", "--rows", "[{}]"), 2, "nobody has no champion"),
        (("predict", "credit", "--rows", "[{"), 2, "not JSON"),
        (("predict", "credit", "--rows", '[{"salary": "much"}]'), 2, "salary"),
        (("predict", "credit"), 2, "--rows or --file"),
        (("why", "credit@99"), 2, "no version 99"),
        (("why", "credit@x"), 2, "is no version"),
        (("diff", "credit@1", "loans@1"), 2, "versions of two models"),
        (("export", "credit@99", "--as", "onnx"), 2, "no version 99"),
        (("export", "credit@1", "--as", "exe"), 2, "exe"),
        (("export", "nobody@1", "--as", "onnx"), 2, "nobody"),
        (("receipt", "credit", "never.csv"), 2, "nothing was uploaded"),
        (("versions", "credit", "--env", "nowhere"), 2, "there is no environment 'nowhere'"),
        (("rollback", "credit"), 1, "first champion"),
        (("init", "credit", "--data", "README.md", "--target", "x"), 2, "exists already"),
        (("init", "../evil", "--data", "README.md", "--target", "x"), 2, "name"),
        (("nonsense",), 2, "nonsense"),
        (("local", "up", "--port", "0"), 1, "up already"),
    ],
)
def test_a_wrong_command_says_what_to_do(
    serin: Serin, credit: Path, words: tuple[str, ...], status: int, says: str
) -> None:
    assert says in serin(*words, status=status).stderr


def test_a_wrong_contract_is_told_with_its_line_and_the_upload_is_kept(
    serin: Serin, project: Path, there: EnvironmentClient, tmp_path: Path
) -> None:
    folder = project / "models" / "wrong"
    folder.mkdir(exist_ok=True)
    (folder / "model.yaml").write_text("model: wrong\ntask: classification\ntarget: y\nfeatures: {x: {type: nmber}}\n")
    try:
        done = serin("check", "wrong", status=1)
        assert "model.yaml:4" in done.stdout
        file = tmp_path / "a.csv"
        file.write_bytes(small_table())
        assert "model.yaml:4" in serin("upload", "wrong", str(file), status=2).stderr
        version = there.cloud.data.put("uploads/wrong/a.csv", small_table())
        assert version
    finally:
        (folder / "model.yaml").unlink()
        folder.rmdir()


def test_a_csv_without_names_is_told_so(serin: Serin, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("".join(f"{place},{place * 2},A{place % 3},{place % 2}\n" for place in range(200)))
    done = serin("init", "headless", "--data", str(file), "--target", "y", status=2)
    assert "names" in done.stderr


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [str(Path(sys.prefix) / "bin" / "serin"), "local", "up", "--port", str(port)],
            cwd=make_project(tmp_path),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_twin_one_is_told_how_to_start_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.prefix) / "bin" / "serin"), "versions", "loans"],
        cwd=make_project(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "serin local up" in done.stderr
