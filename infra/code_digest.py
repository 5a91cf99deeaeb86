"""Which code trained a model? A digest, so that the same inputs are known to be the same run."""

from __future__ import annotations

import hashlib
from pathlib import Path


def code_digest(root: Path) -> str:
    """Digest the library and the packages that training pins, by path and content; 64 hex digits."""
    library = sorted((root / "layers" / "serin" / "python" / "serin").rglob("*.py"))
    digest = hashlib.sha256()
    for path in [*library, root / "layers" / "training" / "requirements.txt"]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
