"""The Open Inference Protocol: its paths, every datatype, its errors, and nothing taken that is not understood."""

from __future__ import annotations

from typing import Any

import pytest

from serin.errors import Unavailable
from serin.serving.http.protocols.v2 import DATATYPES
from tests.serving.asking import World
from tests.serving.test_forms import ROW, tensors

INFER = "/v2/models/loans/infer"


def infer(world: World, **changes: Any) -> Any:
    reply = world.ask("POST", INFER, {"inputs": tensors([ROW]), **changes})
    assert reply.status == 200, reply.body
    return reply.body


def refusal(world: World, document: Any, status: int = 400) -> str:
    reply = world.ask("POST", INFER, document)
    assert reply.status == status, reply.body
    assert list(reply.body) == ["error"]
    said: str = reply.body["error"]
    return said


def with_tensor(**changes: Any) -> dict[str, Any]:
    """A request whose first tensor, the age, is changed; ... takes a key away."""
    first, *others = tensors([ROW])
    changed = {key: value for key, value in {**first, **changes}.items() if value is not ...}
    return {"inputs": [changed, *others]}


@pytest.mark.parametrize("nested", [True, False])
def test_one_tensor_may_hold_all_features(world: World, nested: bool) -> None:
    rows = [["41", "10.5", "true", "degree"], ["18", "", "no", "school"]]
    data = rows if nested else [cell for row in rows for cell in row]
    tensor = {"name": "input-0", "shape": [2, 4], "datatype": "BYTES", "data": data}
    plain = [
        {"age": 41, "salary": 10.5, "owner": True, "education": "degree"},
        {"age": 18, "salary": None, "owner": False, "education": "school"},
    ]
    assert infer(world, inputs=[tensor])["outputs"] == infer(world, inputs=tensors(plain))["outputs"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [1, 3]}, "must have shape"),
        ({"data": [1, 2, 3]}, "not of its shape"),
        ({"datatype": "FP65"}, "datatypes"),
        ({"data": [1, 2, "x", 4]}, "no FP64"),
    ],
)
def test_one_tensor_for_all_must_fit(world: World, changes: dict[str, Any], message: str) -> None:
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [41, 10, 1, 2], **changes}
    assert message in refusal(world, {"inputs": [tensor]})


def test_the_server_the_model_and_its_version_are_described(world: World) -> None:
    assert world.ask("GET", "/v2").body["name"] == "serin"
    assert world.ask("GET", "/v2/health/live").body == {"live": True}
    assert world.ask("GET", "/v2/health/ready").body == {"ready": True}
    described = world.ask("GET", "/v2/models/loans").body
    assert described == world.ask("GET", "/v2/models/loans/versions/3").body
    assert (described["name"], described["versions"]) == ("loans", ["3"])
    assert [
        (each["name"], each["datatype"], each["parameters"]["null_is_missing"]) for each in described["inputs"]
    ] == [
        ("age", "INT64", False),
        ("salary", "FP64", True),
        ("owner", "BOOL", True),
        ("education", "BYTES", True),
    ]
    assert [(each["name"], each["datatype"], each["shape"]) for each in described["outputs"]] == [
        ("prediction", "BYTES", [-1]),
        ("score", "FP64", [-1]),
        ("probabilities", "FP64", [-1, 2]),
    ]
    outputs = world.ask("GET", "/v2/models/worths").body["outputs"]
    assert [(each["name"], each["datatype"]) for each in outputs] == [("prediction", "FP64"), ("score", "FP64")]


def test_ready_is_whether_the_champion_loads(world: World) -> None:
    for path in ("/v2/models/loans/ready", "/v2/models/loans/versions/3/ready"):
        assert world.ask("GET", path).body == {"name": "loans", "ready": True}
    assert world.ask("GET", "/v2/models/new/ready").status == 404
    world.files["models/worths/3/model.onnx"] = b"no graph"
    assert world.ask("GET", "/v2/models/worths/ready").status == 503
    world.error = Unavailable("the bucket is out of reach")
    reply = world.ask("GET", "/v2/health/ready")
    assert (reply.status, reply.body) == (503, {"error": "the bucket is out of reach"})


@pytest.mark.parametrize("version", ["2", "03", "latest", "3 ", "٣"])
def test_a_version_that_never_was_on_trial_cannot_be_addressed(world: World, version: str) -> None:
    for method, below in (("GET", ""), ("GET", "/ready"), ("POST", "/infer")):
        reply = world.ask(method, f"/v2/models/loans/versions/{version}{below}", {"inputs": tensors([ROW])})
        assert reply.status == 404
        assert "the champion is version 3" in reply.body["error"]
    assert world.ask("POST", "/v2/models/loans/versions/3/infer", {"inputs": tensors([ROW])}).status == 200


def test_the_index_lists_models_and_whether_they_answer(world: World) -> None:
    everything = world.ask("POST", "/v2/repository/index").body
    assert [(each["name"], each["version"], each["state"]) for each in everything] == [
        ("loans", "3", "READY"),
        ("new", "", "UNAVAILABLE"),
        ("worths", "3", "READY"),
    ]
    assert [each["name"] for each in world.ask("POST", "/v2/repository/index", {"ready": True}).body] == [
        "loans",
        "worths",
    ]
    assert world.ask("POST", "/v2/repository/index", {"ready": 1}).status == 400


def test_outputs_are_chosen_and_the_id_is_echoed(world: World) -> None:
    said = infer(world, id="mine", outputs=[{"name": "score"}, {"name": "prediction"}], parameters={"trace": "t"})
    assert (said["model_name"], said["model_version"], said["id"]) == ("loans", "3", "mine")
    assert [output["name"] for output in said["outputs"]] == ["score", "prediction"]
    assert said["parameters"] == {"version": 3, "prediction_id": "p1"}
    assert "id" not in infer(world)


def test_what_a_person_should_know_stands_in_parameters(world: World) -> None:
    reply = world.ask("POST", INFER, {"inputs": tensors([ROW, {**ROW, "education": "never seen"}])})
    assert "row 1: education: 'never seen' was never" in reply.body["parameters"]["notes"]


NUMBERS = [name for name in DATATYPES if name not in ("BOOL", "BYTES")]


@pytest.mark.parametrize("datatype", NUMBERS)
def test_a_number_comes_in_any_datatype_within_its_range(world: World, datatype: str) -> None:
    expected = infer(world)["outputs"]
    assert world.ask("POST", INFER, with_tensor(datatype=datatype)).body["outputs"] == expected
    _, low, high = DATATYPES[datatype]
    for wrong in ([low * 2 - 1] if low else [-1]) + [high * 2 + 1, "41", True, [41]]:
        if isinstance(wrong, float) and abs(wrong) == float("inf"):
            continue  # it cannot stand in JSON
        assert f"row 0 is no {datatype}" in refusal(world, with_tensor(datatype=datatype, data=[wrong]))
    for edge in (low, high):  # in the range of the datatype, and not in that of the feature
        assert "age" in refusal(world, with_tensor(datatype=datatype, data=[edge]), status=422)


def test_a_fraction_is_no_integer(world: World) -> None:
    assert "is no INT32" in refusal(world, with_tensor(datatype="INT32", data=[41.0]))


@pytest.mark.parametrize(("datatype", "wrong"), [("BOOL", [1, "true", 0.0]), ("BYTES", [1, True, ["degree"], {}])])
def test_a_bool_is_a_bool_and_bytes_are_text(world: World, datatype: str, wrong: list[Any]) -> None:
    for value in wrong:
        assert f"is no {datatype}" in refusal(world, with_tensor(datatype=datatype, data=[value]))


REFUSED: dict[str, Any] = {
    "inputs must be a list": {"inputs": {}},
    "inputs must be a list of tensors": {"inputs": []},
    "objects with a name": {"inputs": [1]},
    "stands twice": {"inputs": tensors([ROW]) + tensors([ROW])},
    "another number of rows": {"inputs": tensors([ROW]) + with_tensor(name="x", shape=[2], data=[1, 2])["inputs"]},
    "must have shape": with_tensor(shape=[1, 2]),
    "must have shape [n]": with_tensor(shape=[]),
    "n the number": with_tensor(shape=[True]),
    "at least one row": with_tensor(shape=[0], data=[]),
    "is not of its shape": with_tensor(data=[]),
    "data that is not of": with_tensor(shape=[1], data=[[41], [41]]),
    "that is not of its": with_tensor(shape=[-1]),
    "not of its shape": with_tensor(shape=[10**4000]),
    "the value of row 0 is no INT64": with_tensor(shape=[2, 1], data=[[41], 41]),
    "one of the datatypes": with_tensor(datatype="BF16"),
    "the datatypes BOOL": with_tensor(datatype=["INT64"]),
    "is not known here": with_tensor(dtype="INT64"),
    "binary_data=False": with_tensor(data=..., parameters={"binary_data_size": 8}),
    "must be an object": with_tensor(parameters=1),
    "id must be text": {"inputs": tensors([ROW]), "id": 1},
    "parameters must be": {"inputs": tensors([ROW]), "parameters": []},
    "outputs must be a list of": {"inputs": tensors([ROW]), "outputs": {}},
    "asked for twice": {"inputs": tensors([ROW]), "outputs": [{"name": "score"}] * 2},
    "there is no output 'logits'": {"inputs": tensors([ROW]), "outputs": [{"name": "logits"}]},
    "'classification' is not known": {
        "inputs": tensors([ROW]),
        "outputs": [{"name": "score", "parameters": {"classification": 2}}],
    },
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_understood_is_a_400_that_says_so(world: World, message: str) -> None:
    assert message in refusal(world, REFUSED[message])


def test_an_unknown_feature_is_named(world: World) -> None:
    assert "did you mean age?" in refusal(world, with_tensor(name="agee"), status=422)


def test_binary_tensors_are_refused(world: World) -> None:
    reply = world.ask("POST", INFER, b'{"inputs": []}\x00\x01\xff', inference_header_content_length="14")
    assert (reply.status, "binary_data=False" in reply.body["error"]) == (400, True)


ROWS = {
    "age": ("INT64", [30, 47]),
    "salary": ("FP64", [20.5, 44.0]),
    "owner": ("BOOL", [True, False]),
    "education": ("BYTES", ["school", "school"]),
}
INPUTS = [{"name": name, "shape": [2], "datatype": kind, "data": data} for name, (kind, data) in ROWS.items()]


def test_what_the_contract_asks_for_besides_is_an_output_by_name(world: World) -> None:
    names = ["set", "decision", "base", "contributions"]
    asked = {"inputs": INPUTS, "outputs": [{"name": name} for name in names]}
    said = world.ask("POST", "/v2/models/cautious/infer", asked).body
    kinds = [(each["name"], each["datatype"], each["shape"]) for each in said["outputs"]]
    assert kinds == [
        ("set", "BOOL", [2, 2]),
        ("decision", "BYTES", [2]),
        ("base", "FP64", [2]),
        ("contributions", "FP64", [2, 4]),
    ]
    decisions = said["outputs"][1]["data"]
    assert said["parameters"]["unsure"] == decisions.count("review") > 0
    described = world.ask("GET", "/v2/models/cautious").body["outputs"]
    assert [each["name"] for each in described][-4:] == names
    (span,) = world.ask("POST", "/v2/models/spans/infer", {"inputs": INPUTS, "outputs": [{"name": "interval"}]}).body[
        "outputs"
    ]
    assert (span["shape"], span["data"][0] < span["data"][1]) == ([2, 2], True)


def test_an_explanation_is_asked_for_by_parameter_too_and_nothing_comes_unasked(world: World) -> None:
    def outputs(**asked: object) -> list[str]:
        said = world.ask("POST", "/v2/models/cautious/infer", {"inputs": INPUTS, **asked}).body
        return [each["name"] for each in said["outputs"]]

    assert outputs() == ["prediction", "score", "probabilities"]
    assert outputs(parameters={"explain": True})[-2:] == ["base", "contributions"]
    assert outputs(parameters={"explain": True}, outputs=[{"name": "score"}]) == ["score", "base", "contributions"]
    wrong = {"inputs": INPUTS, "parameters": {"explain": "yes"}}
    assert world.ask("POST", "/v2/models/cautious/infer", wrong).status == 400
    refused = world.ask("POST", "/v2/models/loans/infer", {"inputs": INPUTS, "parameters": {"explain": True}})
    assert (refused.status, "explain: true" in refused.body["error"]) == (422, True)
