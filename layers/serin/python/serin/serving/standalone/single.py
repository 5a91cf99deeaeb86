"""How does one version answer far from AWS? By the endpoint's own code, over the files of an export."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from serin.contract.serving_spec import ServingSpec, SpecFeature
from serin.errors import BadRequest, Unverified
from serin.registry.records import Champion, Route
from serin.serving.answer import EXPLANATION
from serin.serving.endpoint import Endpoint
from serin.serving.prediction_id import prediction_ids
from serin.serving.routing.router import Router
from serin.serving.rows.body import dump_json


@dataclass(frozen=True, slots=True)
class StandaloneVersion:
    """One version of one model, ready to answer."""

    model: str
    version: int
    endpoint: Endpoint

    @classmethod
    def open(cls, read: Callable[[str], bytes]) -> StandaloneVersion:
        """Open an export. read: gives a file by its name.

        Raises Unverified, Unavailable where a file is not what the manifest promises, or cannot be loaded.
        """
        try:
            manifest = json.loads(read("manifest.json"))
            name = str(manifest["model"])
            route = Route(name, Champion(int(manifest["version"]), dict(manifest["files"]), since=""))
        except (ValueError, KeyError, TypeError) as error:
            raise Unverified(f"manifest.json cannot be read: {error}") from error
        router = Router(lambda model: route if model == name else None, lambda key: read(_name(key)), time.monotonic)
        router.serving(name)
        endpoint = Endpoint(router, new_id=prediction_ids(), names=lambda: [name])
        return cls(name, route.champion.version, endpoint)

    def predict(self, rows: Any, *, explain: bool = False) -> list[dict[str, Any]]:
        """Answer rows as the endpoint does, one object for each. rows: as `rows_of` takes them.

        Raises BadRequest, InvalidRows, ModelOutput, Refused.
        """
        serving = self.endpoint.serving(self.model)
        table = rows_of(rows, serving.model.spec)
        return self.endpoint.answer(self.model, table, serving=serving, needs=EXPLANATION if explain else ()).answers()

    def describe(self) -> dict[str, Any]:
        """Say what the model is, and what a row of it has, as the endpoint does."""
        described: dict[str, Any] = json.loads(dump_json(self.endpoint.describe(self.model)))
        return described


def rows_of(given: Any, spec: ServingSpec) -> list[dict[str, Any]]:
    """Take rows in any form in which people hold them: a DataFrame, a list of rows, one row, or {"rows": […]}.

    Of a DataFrame, columns that are no features are left out, as of a file. NaN is a missing value. Raises BadRequest.
    """
    if hasattr(given, "columns"):
        return _rows_of_table(given, spec)
    if isinstance(given, dict) and given.keys() == {"rows"}:
        given = given["rows"]
    rows = given if isinstance(given, Sequence) and not isinstance(given, str | bytes) else [given]
    if not rows or not all(hasattr(row, "items") for row in rows):
        raise BadRequest('rows are a DataFrame, or a list of at least one row like {"<feature>": <value>, …}')
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _rows_of_table(table: Any, spec: ServingSpec) -> list[dict[str, Any]]:
    """Read a table by its columns, as pandas and polars give them."""
    there = list(table.columns)
    features = [feature for feature in spec.features if feature.name in there]
    for feature in features:
        if there.count(feature.name) > 1:
            raise BadRequest(f"the column {feature.name!r} stands twice")
    columns = [[_cell(value, feature) for value in table[feature.name].to_list()] for feature in features]
    if not len(table):
        raise BadRequest("the table has no row")
    names = [feature.name for feature in features]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] or [{} for _ in range(len(table))]


def _cell(value: Any, feature: SpecFeature) -> Any:
    """Beside missing ones, a table has whole numbers as floats, also those that are names of categories."""
    value = _plain(value)
    is_name = isinstance(value, float) and not feature.is_numeric and value.is_integer()
    return int(value) if is_name else value


def _plain(value: Any) -> Any:
    """Give a value as JSON would have brought it: no scalar of NumPy, and None for what is missing."""
    value = value.item() if getattr(value, "shape", None) == () else value
    is_missing = type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and math.isnan(value))
    return None if is_missing else value


def _name(key: str) -> str:
    return key.rpartition("/")[2]
