"""Which code trained a model? A digest, so that the same inputs are known to be the same run."""

from __future__ import annotations

import hashlib

from serin.shipped import LIBRARY, library_files, shipped


def code_digest() -> str:
    """Digest the library and the packages that training pins, by path and content; 64 hex digits."""
    digest = hashlib.sha256()
    parts = {path.as_posix(): LIBRARY / path for path in library_files()}
    for name, path in {**parts, "requirements.txt": shipped("layers") / "training" / "requirements.txt"}.items():
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
