"""How are rows kept in DynamoDB? The keys, a revision to condition on, and the body as one JSON text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from serin.aws.failures import translated
from serin.errors import Conflict, Unavailable
from serin.registry.ports import KeptAnswer, Row, Write
from serin.registry.registry import ENTITY, answer_key
from serin.registry.retry import TRIES, Patience

DELETED_AT_ONCE = 25


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
        with translated(f"the table {self._table}"):
            pages = self._client.get_paginator("query").paginate(**self._query(partition, sort_prefix))
            return [_row(item) for page in pages for item in page["Items"]]

    def last(self, partition: str, sort_prefix: str) -> Row | None:
        query = self._query(partition, sort_prefix)
        with translated(f"the table {self._table}"):
            items = self._client.query(**query, ScanIndexForward=False, Limit=1)["Items"]
        return _row(items[0]) if items else None

    def _query(self, partition: str, sort_prefix: str) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "KeyConditionExpression": "PK = :partition AND begins_with(SK, :prefix)",
            "ExpressionAttributeValues": {":partition": {"S": partition}, ":prefix": {"S": sort_prefix}},
            "ConsistentRead": True,
        }

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

    def erase(self, partition: str, sort_prefix: str) -> None:
        query = self._query(partition, sort_prefix) | {"ProjectionExpression": "PK, SK"}
        with translated(f"the table {self._table}"):
            pages = self._client.get_paginator("query").paginate(**query)
            _delete(self._client, self._table, [key for page in pages for key in page["Items"]])

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


class DynamoAnswers:
    """Kept answers, a partition for each entity; DynamoDB deletes them some time after they expired.

    patience: how a writer waits while the table throttles, beyond what its client does.
    """

    def __init__(self, client: Any, table: str, patience: Patience) -> None:
        self._client = client
        self._table = table
        self._patience = patience

    def keep(self, model: str, answers: Sequence[KeptAnswer]) -> None:
        # One by one, since a write in bulk takes no condition; side by side, since there may be many. Ten parts of a
        # batch write at a time: about as much as a new on-demand table takes, which is 4,000 a second.
        with ThreadPoolExecutor(max_workers=4) as workers:
            list(workers.map(lambda answer: self._keep_while_throttled(model, answer), answers))

    def forget(self, model: str) -> None:
        # Each entity has a partition of its own, so that all of the table is read.
        query = {
            "TableName": self._table,
            "FilterExpression": "begins_with(PK, :model)",
            "ExpressionAttributeValues": {":model": {"S": f"{ENTITY}{model}#"}},
            "ProjectionExpression": "PK, SK",
        }
        with translated(f"the table {self._table}"):
            pages = self._client.get_paginator("scan").paginate(**query)
            _delete(self._client, self._table, [key for page in pages for key in page["Items"]])

    def _keep_while_throttled(self, model: str, answer: KeptAnswer) -> None:
        self._patience.retry_on(Unavailable, lambda: self._keep(model, answer))

    def _keep(self, model: str, answer: KeptAnswer) -> None:
        key = answer_key(model, answer.entity)
        if key is None:  # nobody can ask for it; it stands in the results all the same
            return
        item = {
            **_key(*key),
            "revision": {"N": "1"},
            "body": {"S": _text(answer.body)},
            "at": {"S": answer.at},
            "expires": {"N": str(answer.expires)},
        }
        is_later_kept = suppress(self._client.exceptions.ConditionalCheckFailedException)
        with translated(f"the table {self._table}"), is_later_kept:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(PK) OR #at <= :at",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":at": {"S": answer.at}},
            )


def _delete(client: Any, table: str, keys: Sequence[dict[str, Any]]) -> None:
    """Delete rows by their keys, as many at once as DynamoDB takes."""
    for start in range(0, len(keys), DELETED_AT_ONCE):
        left = [{"DeleteRequest": {"Key": key}} for key in keys[start : start + DELETED_AT_ONCE]]
        for _ in range(TRIES):
            left = client.batch_write_item(RequestItems={table: left}).get("UnprocessedItems", {}).get(table, [])
            if not left:
                break
        else:
            raise Unavailable(f"the table {table} does not delete as fast as it is asked to; try again in a moment")


def _key(partition: str, sort: str) -> dict[str, Any]:
    return {"PK": {"S": partition}, "SK": {"S": sort}}


def _text(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _row(item: dict[str, Any]) -> Row:
    return Row(item["PK"]["S"], item["SK"]["S"], json.loads(item["body"]["S"]), int(item["revision"]["N"]))
