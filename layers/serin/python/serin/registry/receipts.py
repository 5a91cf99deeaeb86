"""Where are receipts kept, and how are they read again?"""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from serin.errors import NotFound
from serin.registry.ids import receipt_id
from serin.registry.keys import receipt_key
from serin.registry.ports import Objects
from serin.registry.records import Receipt, ReceiptStatus


def write_receipt(objects: Objects, receipt: Receipt) -> None:
    objects.put(
        receipt_key(receipt.model, receipt.id),
        json.dumps(asdict(receipt), indent=1, ensure_ascii=False).encode(),
    )


def latest_receipt(objects: Objects, model: str, key: str) -> Receipt:
    """Read the receipt of the latest upload under a key, though that was deleted since.

    Raises NotFound, saying what happened, where there is none.
    """
    upload = next(objects.list_versions(key), None)
    if upload is None:
        raise NotFound(f"nothing was uploaded as {key}; upload it with: serin upload {model} <file>")
    receipt = read_receipt(objects, model, receipt_id(key, upload.version))
    if receipt is None and not objects.exists(key):
        raise NotFound(f"{key} was deleted, and there is no receipt of it; upload it again")
    if receipt is None:
        raise NotFound(f"{key} has no receipt yet; look again in a moment")
    return receipt


def read_receipt(objects: Objects, model: str, receipt: str) -> Receipt | None:
    """Read a receipt; None where there is none yet."""
    try:
        body = json.loads(objects.get(receipt_key(model, receipt)))
    except NotFound:
        return None
    known = {field.name: body[field.name] for field in fields(Receipt) if field.name in body}
    lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
    return Receipt(**{**known, **lists, "status": ReceiptStatus(body["status"])})
