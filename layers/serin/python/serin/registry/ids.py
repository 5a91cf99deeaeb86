"""What is a thing called? Names that follow from content, so that the same work twice has one name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from serin.errors import Unverified

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_verified(read: Callable[[str], bytes], key: str, digest: str | None) -> bytes:
    """Read an object. Raises Unverified where it is not the one that was registered."""
    content = read(key)
    if sha256(content) != digest:
        raise Unverified(f"{key} does not have the digest that was registered")
    return content


def receipt_id(key: str, object_version: str) -> str:
    """Name the receipt of one object version."""
    return sha256(json.dumps([key, object_version]).encode())[:32]


def dataset_id(content: str) -> str:
    """Name a dataset by the digest of its rows."""
    return content[:16]


def run_id(*, datasets: Iterable[str], contract_digest: str, code_digest: str) -> str:
    """Name a training by what goes in; the seed is part of the contract."""
    return sha256(json.dumps([sorted(datasets), contract_digest, code_digest]).encode())[:16]


def release_id(version: int, attempt: int = 1) -> str:
    """Name a release by its version and its attempt, which are compared as numbers: `Release.attempt`."""
    return f"{version:08d}-{attempt}"


def ulid(now: datetime, randomness: bytes) -> str:
    """Make an id that sorts by time. randomness: 10 bytes. Source: github.com/ulid/spec."""
    number = (int(now.timestamp() * 1000) << 80) | int.from_bytes(randomness[:10], "big")
    return _ulid(number)


def ulid_after(last: str) -> str:
    """Make the next id that sorts after one, as the specification makes one id after another of the same time."""
    number = 0
    for letter in last:
        number = number << 5 | _CROCKFORD.index(letter)
    return _ulid(number + 1)


def _ulid(number: int) -> str:
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
