"""How HTTP reaches a function, and what the gateway says itself."""

import http.client
import json
import socket
from urllib.parse import urlparse

import pytest

from serin.local.gateway import Bucket, Route


@pytest.fixture
def call(twin):
    """Make an HTTP request to the REST API: status, headers, body."""
    url = urlparse(twin.http_url)

    def request(method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        connection.request(method, f"{url.path}{path}", body, headers or {})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

    return request


@pytest.fixture(scope="session")
def keys(twin, aws):
    """The values of the two API keys: a quick one, and one that is throttled."""
    client = aws("apigateway")

    def value(output):
        return client.get_api_key(apiKey=twin.outputs[output], includeValue=True)["value"]

    return {"quick": {"x-api-key": value("KeyId")}, "slow": {"x-api-key": value("SlowKeyId")}}


def test_the_output_of_the_template_leads_to_the_gateway(twin):
    assert twin.outputs["ApiUrl"] == twin.http_url


def test_a_request_becomes_a_proxy_event_and_the_answer_a_response(call, keys):
    status, headers, body = call(
        "POST", "/models/lo%20ans%2F1/predict?a=1&a=2&b=", '{"rows": "é"}'.encode(), {**keys["quick"], "X-Trace": "t"}
    )

    assert status == 200
    assert headers["content-type"] == "application/json"
    assert headers["x-amzn-requestid"]
    event = json.loads(body)
    assert event["resource"] == "/models/{model}/predict"
    assert event["path"] == "/models/lo ans/1/predict"
    assert event["httpMethod"] == "POST"
    assert event["pathParameters"] == {"model": "lo ans/1"}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert event["queryStringParameters"] == {"a": "2", "b": ""}
    assert event["headers"]["X-Trace"] == "t"
    assert event["multiValueHeaders"]["X-Trace"] == ["t"]
    assert json.loads(event["body"]) == {"rows": "é"}
    assert event["isBase64Encoded"] is False
    context = event["requestContext"]
    assert context["resourcePath"] == "/models/{model}/predict"
    assert context["stage"] == "live"
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert context["identity"]["apiKeyId"]
    assert context["requestId"] == headers["x-amzn-requestid"]


def test_many_requests_go_over_one_connection(twin, keys):
    url = urlparse(twin.http_url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    connection.connect()
    kept = connection.sock
    for _ in range(3):
        connection.request("GET", "/live/health")
        assert connection.getresponse().read()
    assert connection.sock is kept


def test_a_header_may_come_twice(twin, call):
    url = urlparse(twin.http_url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    connection.request("GET", "/live/health")
    assert connection.getresponse().headers.get_all("set-cookie") == ["a=1", "b=2"]


def test_binary_comes_in_and_goes_out(call, keys):
    headers = {**keys["quick"], "Content-Type": "application/octet-stream"}
    event = json.loads(call("POST", "/models/m/predict", b"\x00\xff", headers)[2])
    assert (event["body"], event["isBase64Encoded"]) == ("AP8=", True)

    status, answered, body = call("POST", "/models/m/predict", '{"do": "binary"}', keys["quick"])
    assert (status, answered["content-type"], body) == (200, "image/png", b"\x00\x01\x02")


def test_text_that_is_not_utf8_loses_its_letters_as_on_aws(call, keys):
    event = json.loads(call("POST", "/models/m/predict", '{"rows": "é"}'.encode("latin-1"), keys["quick"])[2])
    assert (event["body"], event["isBase64Encoded"]) == ('{"rows": "\ufffd"}', False)


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "no key of ours at all"}])
def test_no_key_or_a_wrong_one_is_forbidden(call, headers):
    status, answered, body = call("POST", "/models/m/predict", "{}", headers)
    assert (status, json.loads(body)) == (403, {"message": "Forbidden"})
    assert answered["x-amzn-errortype"] == "INVALID_API_KEY"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nothing"), ("DELETE", "/health"), ("GET", "/models//predict"), ("GET", "/")]
)
def test_an_unknown_path_or_method_is_said_in_the_templates_words(call, method, path):
    status, _, body = call(method, path)
    assert status == 404
    assert json.loads(body)["error"]["code"] == "MISSING_AUTHENTICATION_TOKEN"


def test_a_throttled_key_is_told_to_wait_in_the_templates_words(call, keys):
    statuses = [call("POST", "/models/m/predict", "{}", keys["slow"])[0] for _ in range(2)]
    status, headers, body = call("POST", "/models/m/predict", "{}", keys["slow"])

    assert statuses == [200, 200]
    assert status == 429
    assert headers["retry-after"] == "1"
    assert json.loads(body) == {"error": {"code": "THROTTLED", "message": "Too Many Requests"}}


def test_a_function_that_is_full_is_told_in_the_templates_words(call, aws):
    aws("lambda").put_function_concurrency(FunctionName="web", ReservedConcurrentExecutions=0)
    try:
        status, headers, body = call("GET", "/health")
    finally:
        aws("lambda").delete_function_concurrency(FunctionName="web")

    assert (status, headers["retry-after"]) == (429, "1")
    assert json.loads(body)["error"]["code"] == "INTEGRATION_FAILURE"
    assert call("GET", "/health")[0] == 200


def test_a_body_over_ten_megabytes_is_refused_and_the_function_never_sees_it(call, keys, twin):
    before = len(twin.invocations("web"))
    status, _, body = call("POST", "/models/m/predict", b"x" * (10 * 1024 * 1024 + 1), keys["quick"])

    assert (status, json.loads(body)) == (413, {"message": "Request Too Long"})
    assert len(twin.invocations("web")) == before


@pytest.mark.parametrize("told", [{"do": "fail"}, {"do": "nonsense"}, {"do": "exit", "status": 1}])
def test_a_function_that_fails_is_a_bad_gateway(call, keys, told):
    status, _, body = call("POST", "/models/m/predict", json.dumps(told), keys["quick"])
    assert (status, json.loads(body)) == (502, {"message": "Internal server error"})


def test_a_function_that_outruns_its_time_is_a_bad_gateway(call, keys):
    told = json.dumps({"do": "sleep", "seconds": 30})
    assert call("POST", "/models/m/predict", told, keys["quick"])[0] == 502


def test_an_integration_that_takes_too_long_is_a_gateway_timeout(call, twin):
    status, _, body = call("GET", "/slow")

    assert (status, json.loads(body)) == (504, {"message": "Endpoint request timed out"})
    twin.settle(10)  # the function goes on to its end
    assert twin.invocations("web")[-1]["outcome"] == "succeeded"


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET /live/health HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_what_is_not_http_is_a_bad_request(twin, sent):
    url = urlparse(twin.http_url)
    with socket.create_connection((url.hostname, url.port), timeout=20) as sock:
        sock.sendall(sent)
        assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_chunked_body_is_read(twin, keys):
    url = urlparse(twin.http_url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    connection.request("POST", "/live/models/m/predict", iter([b'{"a"', b": 1}"]), keys["quick"], encode_chunked=True)
    assert json.loads(json.loads(connection.getresponse().read())["body"]) == {"a": 1}


@pytest.mark.parametrize(
    ("path", "asked", "found"),
    [
        ("/models/{model}", "/models/loans", {"model": "loans"}),
        ("/models/{model}", "/models/a%2Fb", {"model": "a/b"}),
        ("/models/{model}", "/models", None),
        ("/models/{model}", "/models/", None),
        ("/models/{model}", "/models/a/b", None),
        ("/files/{path+}", "/files/a/b", {"path": "a/b"}),
        ("/files/{path+}", "/files", None),
        ("/", "/", {}),
        ("/health", "/health/", None),
    ],
)
def test_a_route_matches_whole_segments(path, asked, found):
    route = Route("GET", path, tuple(path.split("/")[1:]), "r", "f", False, 29)
    assert route.match(asked.split("/")[1:]) == found


def test_a_bucket_lets_a_burst_through_and_then_its_rate():
    bucket = Bucket(rate=2, burst=3, now=0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]
    assert [bucket.take(100) for _ in range(4)] == [True, True, True, False]
