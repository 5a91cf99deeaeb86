"""What was agreed to, kept as files. `make golden` renews them; a test fails where the present differs."""

from __future__ import annotations

import os
from pathlib import Path


def check_golden(file: Path, present: str) -> None:
    """Compare with the file, or write it where GOLDEN=renew."""
    if os.environ.get("GOLDEN") == "renew":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(present)
    assert file.read_text() == present, f"{file.name} is not current; look at the difference, then: make golden"
