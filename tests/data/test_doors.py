"""One table, as people have it, is read as the same values at every door: init, upload, batch, HTTP, the commands."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serin.client.rows import rows_from_table
from serin.contract.compile import compile_spec
from serin.contract.load import parse_contract
from serin.contract.model import Contract
from serin.contract.serving_spec import ServingSpec
from serin.data.infer import Told, infer_contract
from serin.data.read import read_table
from serin.data.storage import dump_table
from serin.errors import InvalidRows
from serin.registry.records import Champion, ReceiptStatus
from serin.serving.description import Description
from serin.serving.http.protocols.scoring import _csv_rows
from serin.serving.rows.body import dump_json, read_json
from serin.serving.rows.encode import encode
from tests.judging import expect_features, judge_upload

ROWS = 60
Cells = dict[str, Sequence[str]]
RANDOM = np.random.default_rng(3)
AMOUNTS = [f"{value:.2f}" for value in RANDOM.lognormal(6, 1, ROWS)]
COUNTS = [str(value) for value in RANDOM.integers(1, 9, ROWS)]
REGIONS = RANDOM.choice(["Ost", "West", "Süd"], ROWS).tolist()
OUTCOMES = RANDOM.choice(["yes", "no"], ROWS).tolist()
PLAIN: Cells = {"amount": AMOUNTS, "count": COUNTS, "region": REGIONS, "won": OUTCOMES}


def as_csv(cells: Cells, *, separator: str = ",", names: bool = True) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=separator, lineterminator="\n")
    writer.writerows([list(cells)] if names else [])
    writer.writerows(zip(*cells.values(), strict=True))
    return buffer.getvalue()


def grouped(text: str, decimal: str, thousands: str) -> str:
    return f"{float(text):,.2f}".translate(str.maketrans(",.", thousands + decimal))


def with_amounts(write: Callable[[str], str]) -> Cells:
    return {**PLAIN, "amount": [write(amount) for amount in AMOUNTS]}


PLAIN_TEXT = as_csv(PLAIN)
TABLES: dict[str, bytes] = {
    "decimal comma": as_csv(with_amounts(lambda text: text.replace(".", ",")), separator=";").encode(),
    "points between thousands": as_csv(with_amounts(lambda text: grouped(text, ",", ".")), separator=";").encode(),
    "commas between thousands": as_csv(with_amounts(lambda text: grouped(text, ".", ","))).encode(),
    "apostrophes": as_csv(with_amounts(lambda text: grouped(text, ".", "'"))).encode(),
    "money before": as_csv(with_amounts(lambda text: f"${grouped(text, '.', ',')}")).encode(),
    "money behind": as_csv(with_amounts(lambda text: f"{grouped(text, ',', '.')} €"), separator=";").encode(),
    "a code before": as_csv(with_amounts(lambda text: f"USD {text}")).encode(),
    "a unit": as_csv(with_amounts(lambda text: f"{text} kg")).encode(),
    "cp1252": PLAIN_TEXT.encode("cp1252"),
    "utf-16": PLAIN_TEXT.encode("utf-16"),
    "two marks of UTF-8": b"\xef\xbb\xbf\xef\xbb\xbf" + PLAIN_TEXT.encode(),
    "letters and their marks apart": PLAIN_TEXT.replace("ü", "u\u0308").encode(),
    "pipes": as_csv(PLAIN, separator="|").encode(),
    "sep=": b"sep=;\n" + as_csv(PLAIN, separator=";").encode(),
    "comments": b"# exported on 2024-05-01\n# rows: 60\n" + PLAIN_TEXT.encode(),
    "a title": b"Report of May;;;\n;;;\n" + as_csv(PLAIN, separator=";").encode(),
    "separators at the end": PLAIN_TEXT.replace("\n", ",\n").encode(),
    "separators at the end of rows": (PLAIN_TEXT.replace("\n", ",\n").replace("won,\n", "won\n")).encode(),
    "blanks before cells": PLAIN_TEXT.replace(",", ", ").encode(),
    "carriage returns": PLAIN_TEXT.replace("\n", "\r\n").encode(),
}


def contract_of(content: bytes, **told: Any) -> Contract:
    inferred = infer_contract(content, "f.csv", "m", "won", told=Told(**told))
    return parse_contract(inferred.text.replace("min_rows: 30", "min_rows: 10"), "f")


def spec_of(contract: Contract) -> ServingSpec:
    values = {"region": sorted(set(REGIONS))}
    return compile_spec(contract, values=values, missing_codes={}, classes=["no", "yes"])


def that_learned(spec: ServingSpec, name: str, values: tuple[str, ...]) -> ServingSpec:
    features = (replace(feature, values=values) if feature.name == name else feature for feature in spec.features)
    return replace(spec, features=tuple(features))


def numbers_of(rows: list[dict[str, Any]], spec: ServingSpec) -> list[list[float]]:
    kept = [{name: value for name, value in row.items() if name != "won"} for row in rows]
    encoded = encode(kept, spec)
    return [[*numbers, *codes] for numbers, codes in zip(encoded.numeric, encoded.codes, strict=True)]


@pytest.fixture(scope="module")
def plain() -> tuple[Contract, bytes, list[list[float]]]:
    contract = contract_of(PLAIN_TEXT.encode())
    table = judge_upload(PLAIN_TEXT.encode(), contract).table
    assert table is not None
    expected = [
        [float(amount), float(count), sorted(set(REGIONS)).index(region)]
        for amount, count, region in zip(AMOUNTS, COUNTS, REGIONS, strict=True)
    ]
    return contract, dump_table(table), expected


@pytest.mark.parametrize("kind", TABLES)
def test_every_door_reads_the_same(kind: str, plain: tuple[Contract, bytes, list[list[float]]]) -> None:
    content, (contract_of_plain, stored, expected) = TABLES[kind], plain

    contract = contract_of(content)
    assert contract.model_copy(update={"read": contract_of_plain.read}) == contract_of_plain
    verdict = judge_upload(content, contract)
    assert (verdict.status, verdict.bad_rows) == (ReceiptStatus.ACCEPTED, 0), verdict.reasons
    assert verdict.table is not None
    assert dump_table(verdict.table) == stored, "so it is the same dataset, and the same model comes of it"

    spec = ServingSpec.from_json(spec_of(contract).to_json())
    raw = read_table(content, encoding=spec.encoding, names=spec.names)
    finding = expect_features(raw, spec)
    assert finding.table is not None
    assert not finding.is_bad.any()
    assert finding.table["amount"].tolist() == [row[0] for row in expected]

    text = raw_text(content, raw.encoding)
    assert numbers_of(_csv_rows(text, spec), spec) == expected

    champion = Champion(1, "2026-01-01T00:00:00+00:00", "", {})
    described = read_json(dump_json(Description.of("m", spec, champion, is_degraded=False)))
    assert numbers_of(rows_from_table(content, described), spec) == expected


def raw_text(content: bytes, encoding: str) -> bytes:
    """What is sent over HTTP is UTF-8."""
    return content if encoding == "utf-8" else content.decode(encoding).encode()


def test_a_file_without_names_is_read_by_those_that_were_told() -> None:
    content, names = as_csv(PLAIN, names=False).encode(), tuple(PLAIN)
    contract = contract_of(content, names=names)
    assert contract.read.names == names
    for sent in (content, PLAIN_TEXT.encode()):
        verdict = judge_upload(sent, contract)
        assert (verdict.status, verdict.rows) == (ReceiptStatus.ACCEPTED, ROWS)
    spec = spec_of(contract)
    assert len(_csv_rows(content, spec)) == len(_csv_rows(PLAIN_TEXT.encode(), spec)) == ROWS


@pytest.mark.parametrize("sign", ["-", "k.A.", "#DIV/0!", "–"])
def test_a_sign_for_missing_is_missing_at_every_door(sign: str) -> None:
    amounts = [sign if place % 7 == 3 else amount for place, amount in enumerate(AMOUNTS)]
    content = as_csv({**PLAIN, "amount": amounts}).encode()
    contract = contract_of(content)
    assert contract.read.of("amount").missing == (sign.lower(),)
    assert contract.features["amount"].allows_missing
    verdict = judge_upload(content, contract)
    assert verdict.table is not None
    gone = [place % 7 == 3 for place in range(ROWS)]
    assert verdict.table["amount"].isna().tolist() == gone
    rows = _csv_rows(content, spec_of(contract))
    assert [row["amount"] is None for row in rows] == gone


def test_a_whole_number_with_a_point_is_the_same_category_at_every_door() -> None:
    codes = [str(value) for value in RANDOM.integers(1, 4, ROWS)]
    whole = as_csv({"segment_id": codes, **PLAIN}).encode()
    pointed = as_csv({"segment_id": [f"{code}.0" for code in codes], **PLAIN}).encode()
    contract = contract_of(whole)
    assert contract == contract_of(pointed)
    one, other = (judge_upload(content, contract).table for content in (whole, pointed))
    assert one is not None
    assert other is not None
    assert dump_table(one) == dump_table(other)
    spec = spec_of(contract)
    spec = replace(
        spec, features=tuple(replace(f, values=("1", "2", "3")) if f.name == "segment_id" else f for f in spec.features)
    )
    row = {"amount": 1.0, "count": 2, "region": "Ost"}
    assert {encode([{"segment_id": sent, **row}], spec).codes[0, 0] for sent in ("2", "2.0", 2, 2.0)} == {1}


def test_an_old_version_that_learned_codes_with_points_knows_them_without() -> None:
    spec = spec_of(contract_of(PLAIN_TEXT.encode()))
    spec = replace(
        spec, features=tuple(replace(f, values=("1.0", "2.0")) if f.name == "region" else f for f in spec.features)
    )
    row = {"amount": 1.0, "count": 2}
    codes = [encode([{"region": sent, **row}], spec).codes[0, 0] for sent in ("1.0", "2.0", "2", 1)]
    assert codes == [0, 1, 1, 0]


def test_a_word_that_is_read_as_missing_is_told_so() -> None:
    spec = spec_of(contract_of(PLAIN_TEXT.encode()))
    with pytest.raises(InvalidRows, match="region: is required, and 'NA' is read as missing"):
        encode([{"amount": 1.0, "count": 2, "region": "NA"}], spec)
