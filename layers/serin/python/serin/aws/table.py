"""How are rows kept in DynamoDB? The keys, a revision to condition on, and the body as one JSON text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from serin.aws.failures import translated
from serin.errors import Conflict
from serin.registry.ports import Row, Write


class DynamoRows:
    """The table, in DynamoDB."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, partition: str, sort: str) -> Row | None:
        with translated(f"the table {self._table}"):
            answer = self._client.get_item(TableName=self._table, Key=_key(partition, sort), ConsistentRead=True)
        return _row(answer["Item"]) if "Item" in answer else None

    def list(self, partition: str, sort_prefix: str) -> list[Row]:
        query = {
            "TableName": self._table,
            "KeyConditionExpression": "PK = :partition AND begins_with(SK, :prefix)",
            "ExpressionAttributeValues": {":partition": {"S": partition}, ":prefix": {"S": sort_prefix}},
            "ConsistentRead": True,
        }
        with translated(f"the table {self._table}"):
            pages = self._client.get_paginator("query").paginate(**query)
            return [_row(item) for page in pages for item in page["Items"]]

    def write(self, writes: Sequence[Write]) -> None:
        puts = [self._put(change) for change in writes]
        try:
            with translated(f"the table {self._table}"):
                if len(puts) == 1:
                    self._client.put_item(**puts[0])
                else:
                    self._client.transact_write_items(TransactItems=[{"Put": put} for put in puts])
        except Conflict:
            # The client tries again when an answer is lost: then the first try was committed, and all is as asked.
            if not all(self._is_written(change) for change in writes):
                raise

    def _put(self, change: Write) -> dict[str, Any]:
        item = {
            **_key(change.partition, change.sort),
            "revision": {"N": str(change.expected_revision + 1)},
            "body": {"S": _text(change.body)},
        }
        if change.expected_revision == 0:
            return {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(PK)"}
        return {
            "TableName": self._table,
            "Item": item,
            "ConditionExpression": "revision = :expected",
            "ExpressionAttributeValues": {":expected": {"N": str(change.expected_revision)}},
        }

    def _is_written(self, change: Write) -> bool:
        row = self.get(change.partition, change.sort)
        return (
            row is not None and row.revision == change.expected_revision + 1 and _text(row.body) == _text(change.body)
        )


def _key(partition: str, sort: str) -> dict[str, Any]:
    return {"PK": {"S": partition}, "SK": {"S": sort}}


def _text(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _row(item: dict[str, Any]) -> Row:
    return Row(item["PK"]["S"], item["SK"]["S"], json.loads(item["body"]["S"]), int(item["revision"]["N"]))
