"""What does a contract say as a whole? Its keys, and that they fit together."""

from __future__ import annotations

import hashlib
import json

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from serin.contract.consistency import misfits
from serin.contract.declaration import Declaration


class Contract(Declaration):
    """What a team declares about a model."""

    @property
    def digest(self) -> str:
        """SHA-256 of what it says. Comments and spelled-out defaults do not change it; the order of features does."""
        text = json.dumps(self.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Contract:
        for misfit in misfits(self):
            raise PydanticCustomError("misfit", "{message}", misfit._asdict())
        return self
