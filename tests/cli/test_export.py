"""An export answers as the endpoint does, tried from outside: a process that has the export and what it asks for."""

from __future__ import annotations

import base64
import csv
import hashlib
import http.client
import io
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serin.cli.export import Kind, export, write
from serin.cli.golden import UNSEEN, golden_rows
from serin.client.project import AskedWrongly
from serin.contract.serving_spec import ServingSpec, SpecFeature
from serin.errors import BadRequest, InvalidRows, Unverified
from serin.registry.ids import sha256
from serin.registry.records import Champion, ModelVersion, Route, VersionStatus
from serin.serving.endpoint import Endpoint
from serin.serving.http.protocols import openapi
from serin.serving.routing.router import Router
from serin.serving.rows.body import dump_json
from serin.serving.rows.encode import encode
from serin.serving.standalone.single import StandaloneVersion, rows_of
from serin.training.train import train
from tests.builders import a_contract, a_version
from tests.fakes import FakeObjects

ROOT = Path(__file__).parents[2]
MODELS = ("loans", "house-prices")
FEATURES = {
    "age": {"type": "integer", "min": 18, "max": 100},
    "salary": {"type": "number", "min": 0, "missing": "allow"},
    "education": {"type": "category", "missing": "allow"},
    "owner": {"type": "boolean"},
}


def a_table(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, rows).astype(float)
    frame = pd.DataFrame(
        {
            "age": age,
            "salary": np.where(rng.random(rows) < 0.2, np.nan, rng.lognormal(10, 1, rows)),
            "education": rng.choice(["school", "college", "degré", None], rows),
            "owner": rng.random(rows) < 0.5,
        }
    )
    score = age + 20 * (frame.education == "college") + rng.normal(0, 5, rows)
    return frame.assign(approved=np.where(score > 50, "yes", "no"), price=score * 1000)


@pytest.fixture(scope="module")
def artifacts() -> FakeObjects:
    """Two real models, as they lie in the bucket: one of classes, one of numbers."""
    stored, table = FakeObjects(), a_table()
    for model, task, target in (("loans", "classification", "approved"), ("house-prices", "regression", "price")):
        training = {"budget": "9 fits", "folds": 2, "candidates": ["boosting"]}
        explains = {"explain": model == "loans"}
        contract = a_contract(
            model=model, task=task, target=target, features=FEATURES, training=training, serving=explains
        )
        trained = train(table[[*FEATURES, target]], contract)
        files = {"model.onnx": trained.onnx, "spec.json": trained.spec.to_json(), "profile.json": b"{}"}
        manifest = {"model": model, "version": 7, "files": {name: sha256(content) for name, content in files.items()}}
        for name, content in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
            stored.put(f"models/{model}/7/{name}", content)
    return stored


def version_of(artifacts: FakeObjects, model: str, **changes: Any) -> ModelVersion:
    manifest = artifacts.get(f"models/{model}/7/manifest.json")
    files = json.loads(manifest)["files"]
    return a_version(7, model=model, files=files, manifest_sha256=sha256(manifest), **changes)


def endpoint_of(artifacts: FakeObjects, version: ModelVersion) -> Endpoint:
    """The endpoint, as the function makes it."""
    route = Route(version.model, Champion(version.number, version.files, "2026"))
    return Endpoint(Router(lambda _: route, artifacts.get, monotonic=lambda: 0.0), new_id=lambda: "p")


def without_ids(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in answer.items() if name != "id"} for answer in answers]


class Outside:
    """A folder with an export, and processes that have it, what its requirements name, and nothing else."""

    def __init__(self, folder: Path, requirements: str) -> None:
        self.folder, only = folder, folder.parent / "only"
        only.mkdir()
        site = Path(sysconfig.get_path("purelib"))
        for name in (line.partition("==")[0] for line in requirements.split()):
            for found in (site / name, site / f"{name}.libs"):
                if found.exists():
                    (only / found.name).symlink_to(found)
        self.environment = {"PYTHONPATH": str(only), "PATH": os.defpath}

    def python(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-S", "-s", *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, input=stdin, capture_output=True, timeout=60, check=False
        )

    def ours(self, code: str) -> list[str]:
        """Run code; list the modules that it loaded from this repository, of which there must be none."""
        tell = "; import sys; print(*{str(getattr(module, '__file__', '')) for module in list(sys.modules.values())})"
        done = self.python("-c", code + tell)
        assert done.returncode == 0, done.stderr
        files = done.stdout.decode().split("\n")[-2].split()
        assert any("onnxruntime" in file for file in files), "the code did its work"
        return [file for file in files if file.startswith(str(ROOT))]


def an_outside(artifacts: FakeObjects, model: str, kind: Kind, folder: Path) -> Outside:
    files = export(version_of(artifacts, model), artifacts, kind)
    write(files, folder / "export")
    if kind == "wheel":
        (wheel,) = (folder / "export").iterdir()
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "export")
            metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
        lines = [line for line in metadata.split("\n") if line.startswith("Requires-Dist")]
        return Outside(folder / "export", "\n".join(line.split()[1].replace(">=", "==") for line in lines))
    return Outside(folder / "export", files["requirements.txt"].decode())


def golden_of(artifacts: FakeObjects, model: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The golden rows, and what the endpoint answers to them."""
    version = version_of(artifacts, model)
    document = json.loads(export(version, artifacts, "onnx")["golden.json"])
    answered = endpoint_of(artifacts, version).predict(model, json.dumps({"rows": document["rows"]}).encode())
    expected = without_ids(answered["predictions"])
    assert document["predictions"] == expected
    return document["rows"], expected


@pytest.mark.parametrize("model", MODELS)
def test_the_bundle_answers_as_the_endpoint(artifacts: FakeObjects, model: str, tmp_path: Path) -> None:
    outside = an_outside(artifacts, model, "onnx", tmp_path)
    rows, expected = golden_of(artifacts, model)
    body = json.dumps({"rows": rows}).encode()
    (outside.folder / "rows.json").write_bytes(body)
    by_file, by_stdin = outside.python("predict.py", "rows.json"), outside.python("predict.py", stdin=body)
    for done in (by_file, by_stdin):
        answer = json.loads(done.stdout)
        assert (answer["model"], answer["version"]) == (model, 7)
        assert without_ids(answer["predictions"]) == expected
    assert outside.ours("import runpy; runpy.run_path('predict.py')") == []


def test_the_bundle_takes_rows_as_the_command_line_does(artifacts: FakeObjects, tmp_path: Path) -> None:
    outside = an_outside(artifacts, "loans", "onnx", tmp_path)
    rows, expected = golden_of(artifacts, "loans")
    for body, answers in ((rows, expected), (rows[0], expected[:1])):
        done = outside.python("predict.py", stdin=b"\xef\xbb\xbf" + json.dumps(body).encode())
        assert without_ids(json.loads(done.stdout)["predictions"]) == answers, done.stderr
    for body in (b"[]", b"7", b'["age"]', b"{}"):
        done = outside.python("predict.py", stdin=body)
        assert (done.returncode, "error" in json.loads(done.stdout)) == (1, True)


def test_the_bundle_refuses_as_the_endpoint(artifacts: FakeObjects, tmp_path: Path) -> None:
    outside = an_outside(artifacts, "loans", "onnx", tmp_path)
    for body, code in ((b'{"rows": [{"agee": 1}]}', "INVALID_ROWS"), (b"{", "BAD_REQUEST")):
        done = outside.python("predict.py", stdin=body)
        assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, code)
    assert outside.python("predict.py", "none.json").returncode == 2


def test_the_bundle_checks_itself(artifacts: FakeObjects, tmp_path: Path) -> None:
    outside = an_outside(artifacts, "loans", "onnx", tmp_path)
    assert outside.python("predict.py", "--check").returncode == 0
    file = outside.folder / "golden.json"
    document = json.loads(file.read_bytes())
    document["predictions"][3]["score"] += 0.001
    file.write_text(json.dumps(document))
    done = outside.python("predict.py", "--check")
    assert (done.returncode, b"rows 3 of" in done.stdout) == (1, True)
    model = outside.folder / "model.onnx"
    model.write_bytes(model.read_bytes() + b"x")
    done = outside.python("predict.py", "--check")
    assert (done.returncode, b"digest" in done.stdout) == (1, True)


@pytest.mark.parametrize("model", MODELS)
def test_the_wheel_answers_as_the_endpoint(artifacts: FakeObjects, model: str, tmp_path: Path) -> None:
    outside = an_outside(artifacts, model, "wheel", tmp_path)
    package = f"{model.replace('-', '_')}_model"
    rows, expected = golden_of(artifacts, model)
    code = f"import json, sys; from {package} import predict; print(json.dumps(predict(json.load(sys.stdin))))"
    done = outside.python("-c", code, stdin=json.dumps(rows).encode())
    assert done.returncode == 0, done.stderr
    assert without_ids(json.loads(done.stdout)) == expected
    assert outside.ours(f"import {package}; {package}.describe()") == []
    assert outside.python("-c", f"import {package}, sys; sys.exit('serin' in sys.modules)").returncode == 0
    refused = f"import {package} as m\ntry: m.predict([{{}}])\nexcept m.InvalidRows as e: print(e.problems[0].field)"
    assert outside.python("-c", refused).stdout.strip() == b"age"


@pytest.fixture(scope="module")
def loans(artifacts: FakeObjects) -> StandaloneVersion:
    return StandaloneVersion.open(lambda name: artifacts.get(f"models/loans/7/{name}"))


FRAMES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "a DataFrame": lambda frame: frame,
    "of whole numbers, bits and categories": lambda frame: frame.astype(
        {"age": "int32", "owner": "bool", "education": "category", "salary": "Float64"}
    ),
    "of objects": lambda frame: frame.astype(object).where(frame.notna(), None),
    "with more columns": lambda frame: frame.assign(approved="yes", row=1).set_index("row"),
    "records with NaN": lambda frame: frame.to_dict("records"),
    "rows of pandas": lambda frame: [row for _, row in frame.astype(object).iterrows()],
    "scalars of NumPy": lambda frame: [
        {
            "age": np.int64(row.age),
            "salary": np.float64(row.salary),
            "education": row.education,
            "owner": np.bool_(row.owner),
        }
        for row in frame.itertuples()
    ],
}


@pytest.mark.parametrize("form", FRAMES)
def test_a_table_of_python_is_answered_as_its_rows_are(loans: StandaloneVersion, form: str) -> None:
    frame = a_table()[[*FEATURES]][:40]
    rows = json.loads(json.dumps(frame.astype(object).where(frame.notna(), None).to_dict("records")))
    assert any(row["salary"] is None for row in rows)
    assert any(row["education"] is None for row in rows)
    assert without_ids(loans.predict(FRAMES[form](frame))) == without_ids(loans.predict(rows))
    assert without_ids(loans.predict({"rows": rows})) == without_ids(loans.predict(rows))
    assert without_ids(loans.predict(rows[0])) == without_ids(loans.predict(rows[:1]))


def test_a_category_that_is_a_number_is_no_other_one_beside_missing_values() -> None:
    spec = ServingSpec("m", "regression", "t", (SpecFeature("zip", "category"),))
    assert rows_of(pd.DataFrame({"zip": [1500.0, None, 2.5]}), spec) == [{"zip": 1500}, {"zip": None}, {"zip": 2.5}]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "rows are a DataFrame, or a list"),
        ("age", "rows are a DataFrame, or a list"),
        ([41], "rows are a DataFrame, or a list"),
        (None, "rows are a DataFrame, or a list"),
        (pd.DataFrame({"age": []}), "no row"),
        (pd.DataFrame([[41, 42]], columns=["age", "age"]), "'age' stands twice"),
    ],
)
def test_what_are_no_rows_is_said(loans: StandaloneVersion, rows: Any, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        loans.predict(rows)
    with pytest.raises(InvalidRows, match="age: is required"):
        loans.predict(pd.DataFrame({"other": [1, 2]}))


def test_an_export_says_whose_rows_are_in_it(artifacts: FakeObjects) -> None:
    texts = {model: export(version_of(artifacts, model), artifacts, "onnx")["README.txt"] for model in MODELS}
    assert b"start from 64 rows of the training data" in texts["loans"]
    assert b"rows of the training data" not in texts["house-prices"]


def test_the_wheel_explains_where_the_contract_asks_for_it(artifacts: FakeObjects, tmp_path: Path) -> None:
    code = (
        "import json, sys; from {model}_model import predict; print(predict(json.load(sys.stdin)[:1], explain=True)[0])"
    )
    for model, said in (("loans", b"'contributions': {'age'"), ("house-prices", b"was trained without explanations")):
        outside = an_outside(artifacts, model, "wheel", tmp_path / model)
        rows = json.dumps(golden_of(artifacts, model)[0]).encode()
        done = outside.python("-c", code.format(model=model.replace("-", "_")), stdin=rows)
        assert said in done.stdout + done.stderr


def test_a_wheel_is_what_pep_427_says_and_the_same_bytes_each_time(artifacts: FakeObjects, tmp_path: Path) -> None:
    version = version_of(artifacts, "house-prices")
    ((name, content),) = export(version, artifacts, "wheel").items()
    assert {name: content} == export(version, artifacts, "wheel")
    assert name == "house_prices_model-7-py3-none-any.whl"
    (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / name) as archive:
        held = {member: archive.read(member) for member in archive.namelist()}
    record = next(member for member in held if member.endswith(".dist-info/RECORD"))
    listed = {file: (digest, size) for file, digest, size in csv.reader(held[record].decode().splitlines())}
    assert listed.pop(record) == ("", "")
    del held[record]
    for file, said in held.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(said).digest()).rstrip(b"=").decode()
        assert listed.pop(file) == (f"sha256={digest}", str(len(said)))
    assert not listed


@pytest.fixture(scope="module", params=MODELS)
def container(
    request: pytest.FixtureRequest, artifacts: FakeObjects, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Outside, int]]:
    """The server of a build context, started as its Dockerfile does, by SageMaker's word: model, context, port."""
    outside = an_outside(artifacts, request.param, "container", tmp_path_factory.mktemp("container"))
    entry = json.loads((outside.folder / "Dockerfile").read_text().partition("ENTRYPOINT ")[2])
    assert entry[0] == "python"
    server = subprocess.Popen(
        [sys.executable, "-S", "-s", *entry[1:], "serve", "--host", "127.0.0.1", "--port", "0"],
        cwd=outside.folder,
        env=outside.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout
    assert "is loaded" in server.stdout.readline()
    try:
        yield request.param, outside, int(server.stdout.readline().split()[-1])
    finally:
        server.terminate()
        assert server.wait(timeout=10) == 0, "it ends by itself when told"
        server.stdout.close()


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send a body: a text as CSV, else as JSON. Gives what comes as JSON, or its text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    is_csv = isinstance(body, str)
    headers = {"Content-Type": "text/csv" if is_csv else "application/json"} if body is not None else {}
    connection.request(method, path, body.encode() if is_csv else json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    text, is_json = answer.read(), answer.headers["Content-Type"] == "application/json"
    connection.close()
    return answer.status, json.loads(text) if is_json else text.decode()


def tables(rows: list[dict[str, Any]]) -> list[Any]:
    """Write rows in each of the forms of MLflow and SageMaker."""
    names = sorted({name for row in rows for name in row})
    lists = [[row.get(name) for name in names] for row in rows]
    written = io.StringIO()
    csv.writer(written).writerows([names, *lists])
    return [
        {"dataframe_split": {"columns": names, "data": lists}},
        {"dataframe_records": rows},
        {"instances": rows},
        {"inputs": {name: [row.get(name) for row in rows] for name in names}},
        written.getvalue(),
    ]


def tensors(rows: list[dict[str, Any]], metadata: dict[str, Any]) -> dict[str, Any]:
    """Write rows as an inference request, by what the model says of its inputs."""
    inputs = metadata["inputs"]
    shaped = [{"name": each["name"], "datatype": each["datatype"], "shape": [len(rows)]} for each in inputs]
    return {"inputs": [{**each, "data": [row.get(each["name"]) for row in rows]} for each in shaped]}


def test_the_container_answers_as_the_endpoint(artifacts: FakeObjects, container: tuple[str, Outside, int]) -> None:
    model, outside, port = container
    rows, expected = golden_of(artifacts, model)
    status, answer = ask(port, "POST", f"/models/{model}/predict", {"rows": rows})
    assert (status, answer["model"], answer["version"]) == (200, model, 7)
    assert without_ids(answer["predictions"]) == expected
    labels = [row["prediction"] for row in expected]
    for path in (f"/models/{model}/invocations", "/invocations"):
        for table in tables(rows):
            assert ask(port, "POST", path, table) == (200, {"predictions": labels})
        ordered = [[row.get(feature) for feature in FEATURES] for row in rows]
        assert ask(port, "POST", path, {"instances": ordered}) == (200, {"predictions": labels})
    assert (
        outside.ours("import serin.serving.standalone.server; from serin.serving.http.protocols import openapi, page")
        == []
    )


def test_the_container_infers_as_the_endpoint(artifacts: FakeObjects, container: tuple[str, Outside, int]) -> None:
    model, _, port = container
    rows, expected = golden_of(artifacts, model)
    for path in (f"/v2/models/{model}", f"/v2/models/{model}/versions/7"):
        _, metadata = ask(port, "GET", path)
        status, answer = ask(port, "POST", f"{path}/infer", tensors(rows, metadata))
        found = {output["name"]: output["data"] for output in answer["outputs"]}
        assert (status, answer["model_version"]) == (200, "7")
        assert found["prediction"] == [row["prediction"] for row in expected]
        assert found["score"] == [row["score"] for row in expected]
        shares = [share for row in expected for share in row.get("probabilities", {}).values()]
        assert found.get("probabilities", []) == shares
    assert ask(port, "GET", f"/v2/models/{model}/versions/8")[0] == 404
    listed = [{"name": model, "version": "7", "state": "READY", "reason": ""}]
    assert ask(port, "POST", "/v2/repository/index") == (200, listed)


def test_the_container_says_how_it_is_asked(artifacts: FakeObjects, container: tuple[str, Outside, int]) -> None:
    model, _, port = container
    expected = openapi.document(endpoint_of(artifacts, version_of(artifacts, model)).describe(model))
    assert ask(port, "GET", f"/models/{model}/openapi.json") == (200, json.loads(json.dumps(expected)))
    for path, methods in expected["paths"].items():
        for method in methods:
            status, said = ask(port, method.upper(), path)
            assert (status != 405, "there is nothing at" in str(said)) == (True, False), (method, path)
    status, page = ask(port, "GET", f"/models/{model}/docs")
    assert (status, page[:15]) == (200, "<!doctype html>")


def test_the_container_describes_itself_as_the_endpoint(
    artifacts: FakeObjects, container: tuple[str, Outside, int]
) -> None:
    model, _, port = container
    expected = json.loads(dump_json(endpoint_of(artifacts, version_of(artifacts, model)).describe(model)))
    expected["champion"]["since"] = ""
    assert ask(port, "GET", f"/models/{model}") == (200, expected)
    for path in ("/ping", f"/models/{model}/ping", "/health"):
        assert ask(port, "GET", path) == (200, {"status": "ok"})


@pytest.mark.parametrize("kind", ["onnx", "wheel"])
def test_what_is_no_server_carries_no_protocol(artifacts: FakeObjects, kind: Kind) -> None:
    files = export(version_of(artifacts, "loans"), artifacts, kind)
    assert not any(b"Open Inference Protocol" in content for content in files.values())


def test_a_container_whose_model_was_changed_does_not_start(artifacts: FakeObjects, tmp_path: Path) -> None:
    outside = an_outside(artifacts, "loans", "container", tmp_path)
    (outside.folder / "model" / "spec.json").write_bytes(b"{}")
    done = outside.python("-m", "serin.serving.standalone.server")
    assert (done.returncode, b"digest" in done.stderr) == (1, True)


def test_golden_rows_have_what_is_hard() -> None:
    spec = ServingSpec(
        model="m",
        task="regression",
        target="y",
        features=(
            SpecFeature("a", "integer", min=0.5, max=3.5),
            SpecFeature("b", "number", max=-10, allows_missing=True),
            SpecFeature("c", "category", values=("(missing)", "x"), missing_code=0, allows_missing=True),
            SpecFeature("d", "boolean"),
            SpecFeature("e", "category"),
        ),
    )
    rows = golden_rows(spec, seed="m@1")
    assert rows == golden_rows(spec, seed="m@1")
    assert rows != golden_rows(spec, seed="m@2")
    encode(rows, spec)  # which refuses what the model does not take
    assert {row["a"] for row in rows} == {1, 2, 3}
    assert any(row.get("b", 0) is None for row in rows)
    assert any("b" not in row for row in rows)
    assert {row.get("c") for row in rows} == {"x", None, UNSEEN}


def test_a_version_that_does_not_verify_is_not_exported(artifacts: FakeObjects) -> None:
    version = version_of(artifacts, "loans")
    damaged = FakeObjects()
    damaged.versions = {**artifacts.versions, "models/loans/7/model.onnx": [b"another"]}
    with pytest.raises(Unverified):
        export(version, damaged, "onnx")


@pytest.mark.parametrize("kind", ["onnx", "wheel", "container"])
def test_a_rejected_version_says_so_wherever_it_goes(artifacts: FakeObjects, kind: Kind) -> None:
    gates = ({"gate": "roc_auc >= 0.99", "passed": False}, {"gate": "answers vary", "passed": True})
    version = version_of(artifacts, "loans", status=VersionStatus.REJECTED, gates=gates)
    assert any(
        b"REJECTED: this version did not pass its gates: roc_auc >= 0.99\n" in content
        for content in export(version, artifacts, kind).values()
    )
    passed = export(version_of(artifacts, "loans"), artifacts, kind)
    assert not any(b"REJECTED: " in content for content in passed.values())


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(AskedWrongly, match="not empty"):
        write({"mine": b"theirs"}, tmp_path)
    with pytest.raises(AskedWrongly, match="is a file"):
        write({"a": b""}, tmp_path / "mine")
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_a_manifest_that_cannot_be_read_is_unverified() -> None:
    with pytest.raises(Unverified):
        StandaloneVersion.open(lambda _: b"{}")
