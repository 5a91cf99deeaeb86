"""What does the endpoint say of a model? What it is, who answers, and what a row holds; msgspec writes it as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from serin.contract.notation import OWN, Notation
from serin.contract.serving_spec import Label, ServingSpec, SpecFeature
from serin.registry.records import Champion


class ChampionDescription(msgspec.Struct, frozen=True):
    """Which version answers, and since when. files: their digests by name."""

    version: int
    since: str
    files: Mapping[str, str]


class FeatureDescription(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one feature of a row takes. missing: whether null. values: the categories that training saw.

    read: how its cells are written in CSV, where that is not Serin's own way.
    """

    name: str
    type: str
    missing: bool
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] | None = None
    read: Notation | None = None

    @classmethod
    def of(cls, feature: SpecFeature) -> FeatureDescription:
        seen = tuple(value for code, value in enumerate(feature.values) if code != feature.missing_code)
        values = None if feature.is_numeric else seen
        read = None if feature.notation == OWN else feature.notation
        return cls(feature.name, feature.type, feature.allows_missing, feature.min, feature.max, values, read)


class Description(msgspec.Struct, frozen=True):
    """A model, or one version of it. coverage: None without intervals or sets; base_rows: without explanations.

    encoding, names: of CSV in files, and the columns of one without a row of names.
    """

    model: str
    task: str
    target: str
    champion: ChampionDescription
    classes: tuple[Label, ...]
    features: tuple[FeatureDescription, ...]
    entity: str | None
    other_columns: tuple[str, ...]
    automation: str
    coverage: float | None
    explains: bool
    base_rows: int | None
    degraded: bool
    encoding: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, model: str, spec: ServingSpec, champion: Champion, *, is_degraded: bool) -> Description:
        """Say what a spec holds. champion: who answers, be it of another spec."""
        names = {feature.name for feature in spec.features}
        return cls(
            model=model,
            task=spec.task,
            target=spec.target,
            champion=ChampionDescription(champion.version, champion.since, champion.files),
            classes=spec.classes,
            features=tuple(map(FeatureDescription.of, spec.features)),
            entity=spec.entity,
            other_columns=tuple(name for name in spec.other_columns if name not in names),
            automation=spec.automation,
            coverage=spec.uncertainty.coverage if spec.uncertainty else None,
            explains=bool(spec.baseline),
            base_rows=len(spec.baseline) if spec.baseline else None,
            degraded=is_degraded,
            encoding=spec.encoding,
            names=spec.names,
        )
