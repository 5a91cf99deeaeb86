"""Clients of others speak to the twin: NVIDIA's for the Open Inference Protocol, and Schemathesis over our OpenAPI."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pytest
import requests
import schemathesis
import tritonclient.http as triton
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks as openapi
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

from serin.cli.examples import tables
from serin.client.environment import EnvironmentClient
from serin.registry.records import Release
from tests.e2e.conftest import upload, write_contract
from tests.serving.asking import FEATURES, a_table
from tests.serving.test_forms import NAMES, ROW, URL, as_csv, tensors

MODEL = "protocols"
ROWS = [ROW, {"age": 18, "salary": None, "owner": False, "education": "never seen"}, {**ROW, "education": None}]
NUMBERS = ["UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"]
CHECKS: list[Any] = [
    not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
]


@pytest.fixture(scope="module")
def served(there: EnvironmentClient, project: Path) -> EnvironmentClient:
    training = {"budget": "9 fits", "folds": 2, "candidates": ["linear"]}
    said = {"model": MODEL, "task": "classification", "target": "approved", "features": FEATURES, "gates": []}
    write_contract(project, **said, training=training, entity="applicant")
    table = a_table()[[*FEATURES, "approved"]]
    steps = upload(there, MODEL, "rows.csv", tables.to_csv(table.assign(applicant=range(len(table)))))
    assert isinstance(steps[-1], Release)
    return there


@pytest.fixture(scope="module")
def client(served: EnvironmentClient) -> triton.InferenceServerClient:
    url = urlparse(served.outputs["ApiUrl"])
    return triton.InferenceServerClient(f"{url.netloc}{url.path.rstrip('/')}")


def infer(client: triton.InferenceServerClient, reach: EnvironmentClient, **options: Any) -> triton.InferResult:
    """Ask for the first row with tritonclient; options: its own, or the datatype of the age."""
    is_binary = options.pop("binary_data", False)
    datatypes = {"age": options.pop("age", "INT64"), "salary": "FP64", "owner": "BOOL", "education": "BYTES"}
    inputs = []
    for name, datatype in datatypes.items():
        tensor = triton.InferInput(name, [1], datatype)
        kind = np.object_ if datatype == "BYTES" else triton_to_np_dtype(datatype)
        tensor.set_data_from_numpy(np.array([ROW[name]], dtype=kind), binary_data=is_binary)
        inputs.append(tensor)
    return client.infer(options.pop("model", MODEL), inputs, headers={"x-api-key": reach.api_key}, **options)


def test_a_public_client_lists_and_checks(client: triton.InferenceServerClient, served: EnvironmentClient) -> None:
    headers = {"x-api-key": served.api_key}
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["name"] == "serin"
    index = client.get_model_repository_index(headers=headers)
    assert {"name": MODEL, "version": "1", "state": "READY", "reason": ""} in index
    assert client.is_model_ready(MODEL, headers=headers)
    assert client.is_model_ready(MODEL, "1", headers=headers)
    assert not client.is_model_ready(MODEL, "2", headers=headers)
    assert not client.is_model_ready("nobody", headers=headers)
    assert {each["name"] for each in client.get_model_metadata(MODEL, headers=headers)["inputs"]} == set(NAMES)
    assert not client.is_model_ready(MODEL), "without the key"


@pytest.mark.parametrize("datatype", NUMBERS)
def test_a_public_client_infers_with_every_datatype(
    client: triton.InferenceServerClient, served: EnvironmentClient, datatype: str
) -> None:
    plain = served.call("POST", f"/models/{MODEL}/predict", {"rows": [ROW]})["predictions"][0]
    outputs = [triton.InferRequestedOutput(name, binary_data=False) for name in ("probabilities", "prediction")]
    found = infer(client, served, age=datatype, request_id="mine", outputs=outputs)
    assert found.get_response()["id"] == "mine"
    assert found.as_numpy("prediction").tolist() == [plain["prediction"]]
    assert found.as_numpy("probabilities").tolist() == [list(plain["probabilities"].values())]
    assert infer(client, served, age=datatype).as_numpy("score").tolist() == [plain["score"]]


def test_a_public_client_understands_a_refusal(client: triton.InferenceServerClient, served: EnvironmentClient) -> None:
    with pytest.raises(InferenceServerException, match="binary_data=False") as binary:
        infer(client, served, binary_data=True)
    with pytest.raises(InferenceServerException, match="no champion") as unknown:
        infer(client, served, model="nobody")
    with pytest.raises(InferenceServerException, match="is or was champion or challenger") as other:
        infer(client, served, model_version="2")
    assert [caught.value.status() for caught in (binary, unknown, other)] == ["400", "404", "404"]


def test_every_form_answers_alike_over_http(served: EnvironmentClient) -> None:
    expected = [each["prediction"] for each in predictions(served, "/models/{}/predict", {"rows": ROWS})]
    order = [feature["name"] for feature in served.call("GET", f"/models/{MODEL}")["features"]]
    for body in ({"dataframe_records": ROWS}, {"instances": [[row[name] for name in order] for row in ROWS]}):
        assert predictions(served, "/models/{}/invocations", body) == expected
    assert predictions(served, "/models/{}/invocations", as_csv(ROWS)) == expected
    assert send(served, URL["v2"], {"inputs": tensors(ROWS)}).json()["outputs"][0]["data"] == expected
    assert send(served, "/models/{}/invocations", "<rows/>", kind="text/xml").status_code == 415


def test_another_path_or_method_is_a_404_in_json(served: EnvironmentClient) -> None:
    url = served.outputs["ApiUrl"].rstrip("/")
    for answer in (requests.get(url + URL["v2"].format(MODEL), timeout=9), requests.post(f"{url}/v2/modes", timeout=9)):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    unknown = requests.get(f"{url}/v2/models/{MODEL}", timeout=9)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (403, "API_KEY")


def predictions(reach: EnvironmentClient, path: str, body: Any) -> list[Any]:
    answer = send(reach, path, body)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["predictions"])


def send(reach: EnvironmentClient, path: str, body: Any, kind: str = "text/csv") -> requests.Response:
    url = reach.outputs["ApiUrl"].rstrip("/") + path.format(MODEL)
    headers = {"x-api-key": reach.api_key}
    if isinstance(body, str):
        return requests.post(url, data=body.encode(), headers={**headers, "content-type": kind}, timeout=30)
    return requests.post(url, json=body, headers=headers, timeout=30)


def test_no_input_made_from_the_openapi_ends_in_a_5xx_or_off_its_schema(served: EnvironmentClient) -> None:
    described = schemathesis.openapi.from_dict(served.call("GET", f"/models/{MODEL}/openapi.json"))
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) == 17
    for operation in operations:
        statuses = {
            status for mode in schemathesis.GenerationMode for status in statuses_of(operation, mode, reach=served)
        }
        usual = 404 if operation.path.endswith("/answers") else 200  # of this model no batch kept an answer
        assert usual in statuses, operation.label
        assert operation.method != "post" or 400 in statuses, operation.label


def statuses_of(operation: Any, mode: schemathesis.GenerationMode, *, reach: EnvironmentClient) -> set[int]:
    """Send what is made from the schema, or against it, and collect the statuses of answers that keep to theirs."""
    statuses = set()
    session = requests.Session()

    @settings(
        max_examples=20,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        url = reach.outputs["ApiUrl"].rstrip("/")
        response = case.call(base_url=url, session=session, headers={"x-api-key": reach.api_key})
        case.validate_response(response, checks=CHECKS)
        statuses.add(response.status_code)

    with contextlib.suppress(Unsatisfiable):  # where nothing can be asked wrongly
        check()
    return statuses
