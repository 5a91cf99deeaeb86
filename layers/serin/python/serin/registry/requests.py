"""Who asks for a training, and what does such a message say?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Trigger(StrEnum):
    """What a request follows from."""

    UPLOAD = "upload"  # data was accepted
    DATA = "data"  # a person decided on data
    RUN = "run"  # a run ended, and more may have arrived meanwhile
    TICK = "tick"  # time went by
    DRIFT = "drift"  # what is asked has moved from what was learned
    HAND = "hand"  # a person


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A message that asks whether a model is to be trained now.

    id: of a request by hand or for drift; one that was answered before is not answered again.
    """

    model: str
    by: Trigger
    id: str = ""

    def to_message(self) -> dict[str, Any]:
        return {"model": self.model, "by": str(self.by), **({"id": self.id} if self.id else {})}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> TrainingRequest:
        return cls(message["model"], Trigger(message["by"]), message.get("id", ""))
