"""Which rows show that an export answers as it must? Made up from the serving spec: nobody's data goes anywhere."""

from __future__ import annotations

import json
import math
from random import Random
from typing import Any

from serin.contract.serving_spec import ServingSpec, SpecFeature
from serin.serving.standalone.single import StandaloneVersion

ROWS = 40
UNSEEN = "never seen in training"


def golden_rows(spec: ServingSpec, *, seed: str) -> list[dict[str, Any]]:
    """Make rows that the model takes, the same for the same seed.

    Of five rows one lacks what may be missing, by null or by leaving it out, and another has only unseen categories.
    """
    random = Random(seed)
    rows = []
    for place in range(ROWS):
        row = {feature.name: _value(feature, random) for feature in spec.features}
        if place % 5 == 3:
            row |= {feature.name: UNSEEN for feature in spec.categories}
        if place % 5 == 4:
            for feature in spec.features:
                if feature.allows_missing:
                    row[feature.name] = None
            if place % 2:
                row = {name: value for name, value in row.items() if value is not None}
        rows.append(row)
    return rows


def golden(version: StandaloneVersion, spec: ServingSpec) -> bytes:
    """Answer the golden rows by the artifact itself, and write both down. An answer's id is its own, and left out."""
    rows = golden_rows(spec, seed=f"{version.model}@{version.version}")
    answers = [{name: value for name, value in answer.items() if name != "id"} for answer in version.predict(rows)]
    document = {"model": version.model, "version": version.version, "rows": rows, "predictions": answers}
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def _value(feature: SpecFeature, random: Random) -> Any:
    if feature.type == "boolean":
        return random.random() < 0.5
    if not feature.is_numeric:
        seen = [value for code, value in enumerate(feature.values) if code != feature.missing_code]
        return random.choice(seen) if seen else UNSEEN
    low, high = _range(feature, random)
    return random.randint(math.ceil(low), math.floor(high)) if feature.type == "integer" else random.uniform(low, high)


def _range(feature: SpecFeature, random: Random) -> tuple[float, float]:
    """Where a limit is left open, reach as far from the other, or from 0, as the row's own order of magnitude."""
    reach = 10.0 ** random.randint(0, 6)
    if feature.min is not None:
        return feature.min, feature.max if feature.max is not None else feature.min + reach
    return (-reach, reach) if feature.max is None else (feature.max - reach, feature.max)
