"""What a number may be is one rule, wherever the number comes from: an upload, a batch, a request, or feedback."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from serin.contract.compile import compile_spec
from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec
from serin.data.read import read_table
from serin.errors import BadRequest, InvalidRows
from serin.serving.capture.feedback import read_feedback
from serin.serving.endpoint import read_rows
from serin.serving.http.protocols.scoring import _csv_rows
from serin.serving.rows.decode import RowDecoder
from serin.serving.rows.encode import encode
from tests.builders import a_contract
from tests.judging import expect, expect_features

TAKEN = ["3.4e38", "-3.4e38", "9007199254740993", "1e-400", "0"]
REFUSED = ["3.5e38", "-1e39", "1e39", "1e400", "1" + "0" * 400]


def a_contract_of(kind: str, **bounds: float) -> Contract:
    return a_contract(task="regression", target="y", features={"x": {"type": kind, **bounds}}, data={"min_rows": 10})


def a_spec(kind: str, **bounds: float) -> ServingSpec:
    return compile_spec(a_contract_of(kind, **bounds), values={}, missing_codes={}, classes=())


def as_csv(written: str) -> bytes:
    return f"x,y\n{written},1\n2,2\n".encode()


def as_parquet(written: str) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame({"x": [float(written), 2.0], "y": [1.0, 2.0]}).to_parquet(buffer)
    return buffer.getvalue()


def by_upload(content: bytes, contract: Contract) -> bool:
    return not expect(read_table(content), contract).is_bad[0]


def by_batch(content: bytes, spec: ServingSpec) -> bool:
    return not expect_features(read_table(content), spec).is_bad[0]


def by_request(body: bytes, spec: ServingSpec) -> bool:
    """Read a request as the endpoint does, and see that the fast reader takes nothing that the careful one refuses."""
    is_fast = RowDecoder(spec, max_rows=10).decode(body) is not None
    is_taken = is_read(lambda: encode(read_rows(body), spec))
    assert is_taken or not is_fast
    return is_taken


def is_read(read: Callable[[], Any]) -> bool:
    try:
        read()
    except (BadRequest, InvalidRows):
        return False
    return True


@pytest.mark.parametrize("kind", ["number", "integer"])
@pytest.mark.parametrize(
    ("written", "is_taken"), [*((each, True) for each in TAKEN), *((each, False) for each in REFUSED)]
)
def test_a_number_is_taken_everywhere_or_nowhere(written: str, kind: str, is_taken: bool) -> None:
    contract, spec = a_contract_of(kind), a_spec(kind)
    row, truth = f'{{"rows":[{{"x":{written}}}]}}', f'{{"feedback":[{{"id":"a1","truth":{written}}}]}}'
    verdicts = {
        "upload": by_upload(as_csv(written), contract),
        "upload of Parquet": by_upload(as_parquet(written), contract),
        "batch": by_batch(as_csv(written), spec),
        "batch of Parquet": by_batch(as_parquet(written), spec),
        "request": by_request(row.encode(), spec),
        "request in CSV": is_read(lambda: encode(_csv_rows(f"x\n{written}\n".encode(), spec), spec)),
        "feedback": is_read(lambda: read_feedback(truth.encode(), [spec])),
    }
    assert verdicts == dict.fromkeys(verdicts, is_taken)


@pytest.mark.parametrize("written", REFUSED)
def test_a_target_is_held_to_the_same_rule(written: str) -> None:
    contract = a_contract(task="regression", target="y", features={"x": {"type": "number"}}, data={"min_rows": 10})
    finding = expect(read_table(f"x,y\n1,{written}\n2,2\n".encode()), contract)
    assert [(reason.code, reason.column, reason.rows) for reason in finding.reasons] == [("DOMAIN", "y", (2,))]
    assert "beyond 3.4e+38, the most that a number may be" in finding.reasons[0].message


def test_a_contract_does_not_widen_the_rule() -> None:
    wide = {"min": -1e300, "max": 1e300}
    assert not by_upload(as_csv("1e39"), a_contract_of("number", **wide))
    assert not by_batch(as_csv("1e39"), a_spec("number", **wide))
    assert not by_request(b'{"rows":[{"x":1e39}]}', a_spec("number", **wide))
    assert by_request(b'{"rows":[{"x":1e38}]}', a_spec("number", **wide))
