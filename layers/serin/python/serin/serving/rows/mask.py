"""Which values of a row may be kept? What the contract masks or hashes is never written plain, nor is the entity."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import Any

from serin.contract.serving_spec import ServingSpec
from serin.serving.rows.encode import MOST_SENT, entity_text


class CaptureMask:
    """Writes the rows of one version for capture: features in the spec's order, and no value that is not to be kept."""

    def __init__(self, spec: ServingSpec) -> None:
        names = [feature.name for feature in spec.features]
        read = [feature.name for feature in (*spec.numeric, *spec.categories)]
        self.share = spec.capture.share
        self._pick = itemgetter(*map(read.index, names)) if len(names) > 1 else itemgetter(slice(0, 1))
        hidden = {*spec.capture.masked, *([spec.entity] if spec.entity else [])}
        self._masked = [place for place, name in enumerate(names) if name in hidden]
        self._hashed = [
            (place, f"{spec.model}\0{name}\0")
            for place, name in enumerate(names)
            if name in spec.capture.hashed and name not in hidden
        ]

    def rows(self, sent: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Write the first rows of a request."""
        picked = [self._pick(row) for row in sent[:MOST_SENT]]
        return [self._cover(row) for row in picked] if self._masked or self._hashed else picked

    def _cover(self, row: tuple[Any, ...]) -> list[Any]:
        values = list(row)
        for place in self._masked:
            values[place] = None
        for place, name in self._hashed:
            text = entity_text(values[place])
            values[place] = None if text is None else short_hash(name + text)
        return values


def short_hash(text: str) -> str:
    """Name a text by 16 hexadecimal digits: a pseudonym, for whoever guesses the text can tell."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
