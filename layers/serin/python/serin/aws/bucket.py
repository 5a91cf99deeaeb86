"""How are objects kept in S3?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from serin.aws.failures import translated
from serin.errors import Conflict, NotFound, Unavailable
from serin.registry.ports import StoredObject

PART = 8 << 20  # bytes that are read at once
AUTHOR = "written-by"  # among what S3 keeps beside an object


class S3Objects:
    """A bucket, in S3."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    def get(self, key: str, version: str | None = None) -> bytes:
        with translated(self._name(key)):
            content: bytes = self._client.get_object(**self._place(key, version))["Body"].read()
        return content

    def fetch(self, key: str, version: str | None, path: Path) -> str:
        digest = hashlib.sha256()
        with translated(self._name(key)), path.open("wb") as file:
            body = self._client.get_object(**self._place(key, version))["Body"]
            for part in body.iter_chunks(PART):
                file.write(part)
                digest.update(part)
        return digest.hexdigest()

    def size(self, key: str, version: str | None = None) -> int:
        with translated(self._name(key)):
            return int(self._client.head_object(**self._place(key, version))["ContentLength"])

    def stored_at(self, key: str, version: str | None = None) -> datetime:
        with translated(self._name(key)):
            stored: datetime = self._client.head_object(**self._place(key, version))["LastModified"]
        return stored

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except NotFound:
            return False
        return True

    def put(self, key: str, content: bytes, *, by: str = "") -> str:
        noted = {"Metadata": {AUTHOR: by}} if by else {}
        with translated(self._name(key)):
            return str(self._client.put_object(Bucket=self.bucket, Key=key, Body=content, **noted)["VersionId"])

    def put_file(self, key: str, path: Path) -> None:
        with translated(self._name(key)), path.open("rb") as file:
            self._client.put_object(Bucket=self.bucket, Key=key, Body=file)

    def author(self, key: str, version: str) -> str:
        with translated(self._name(key)):
            return str(self._client.head_object(**self._place(key, version))["Metadata"].get(AUTHOR, ""))

    def put_once(self, key: str, content: bytes) -> None:
        try:
            with translated(self._name(key)):
                self._client.put_object(Bucket=self.bucket, Key=key, Body=content, IfNoneMatch="*")
        except Conflict:
            if self.get(key) != content:
                raise Conflict(f"{self._name(key)} exists already with other content") from None

    def copy(self, source: str, version: str | None, target: str) -> None:
        place = {"Bucket": self.bucket, "Key": source, **({"VersionId": version} if version else {})}
        with translated(self._name(source)):
            # Without its tags, which may not be readable to us.
            self._client.copy_object(Bucket=self.bucket, Key=target, CopySource=place, TaggingDirective="REPLACE")

    def list(self, prefix: str) -> Iterator[StoredObject]:
        return (_stored(item) for item in self._versions(prefix) if item["IsLatest"])

    def erase(self, prefix: str) -> int:
        erased = 0
        with translated(self._name(prefix)):
            # Always the first page: each listing begins anew, for the place where the one before ended is gone.
            while stored := self._first_versions(prefix):
                self._delete([{"Key": item["Key"], "VersionId": item["VersionId"]} for item in stored])
                erased += sum("Size" in item for item in stored)  # which a delete marker has not
        return erased

    def _first_versions(self, prefix: str) -> Sequence[dict[str, Any]]:
        """List versions and delete markers, at most 1,000 together."""
        page = self._client.list_object_versions(Bucket=self.bucket, Prefix=prefix)
        return [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]

    def _delete(self, versions: Sequence[dict[str, str]]) -> None:
        """Delete versions for good: a page of a listing, which has as many as one call deletes."""
        if not versions:
            return
        answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": [*versions], "Quiet": True})
        if errors := answer.get("Errors"):
            first = errors[0]
            raise Unavailable(f"{self._name(first['Key'])} cannot be deleted: {first['Code']}: {first['Message']}")

    def list_versions(self, key: str) -> Iterator[StoredObject]:
        return (_stored(item) for item in self._versions(key) if item["Key"] == key)

    def all_versions(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        return (_stored(item) for item in self._versions(prefix, after) if item["Key"] > after)

    def _versions(self, prefix: str, after: str = "") -> Iterator[dict[str, Any]]:
        place = {"Bucket": self.bucket, "Prefix": prefix, **({"KeyMarker": after} if after else {})}
        with translated(self._name(prefix)):
            pages = self._client.get_paginator("list_object_versions").paginate(**place)
            for page in pages:
                yield from page.get("Versions", ())

    def _place(self, key: str, version: str | None) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": key, **({"VersionId": version} if version else {})}

    def _name(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


def _stored(item: dict[str, Any]) -> StoredObject:
    return StoredObject(item["Key"], item["VersionId"], item["Size"], item["LastModified"])
