"""Which keys does a contract have, and what do they say? Whether they fit together is asked elsewhere."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from serin.contract.gates import Gate, parse_gate
from serin.contract.keys_and_defaults import (
    Batch,
    DataRules,
    Feature,
    Labels,
    Monitoring,
    Release,
    Section,
    Serving,
    Training,
)
from serin.contract.metrics import DEFAULT_METRIC, METRICS, Metric, Task
from serin.contract.notation import MODEL_NAME_PATTERN
from serin.contract.quantities import Text
from serin.contract.reading import Read


class Declaration(Section):
    """What a contract says, key by key."""

    model: str = Field(pattern=MODEL_NAME_PATTERN, description="its name: lower case, digits, - and _")
    task: Task
    target: str = Field(min_length=1, description="the column to predict")
    labels: Labels = Field(
        Labels.ALL,
        description="selective: whether the truth comes to be known depends on what was decided, as of loans that were "
        "refused; releases then cannot ask which version is wrong more often",
    )
    classes: tuple[Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1)], ...] | None = Field(
        None,
        description="the labels that the target may have, as the data spells them; a row with another is set aside; "
        "left out, they are learned from the data",
    )
    positive: str | int | bool | None = Field(
        None, description="of two classes, the one that the score speaks of; default the last in alphabetical order"
    )
    features: dict[str, Feature] = Field(min_length=1)
    entity: str | None = Field(
        None,
        description="the column that says whom a row is about; rows of one entity stay on one side of a split",
    )
    time: str | None = Field(
        None, description="the column with the time of a row; the hold-out is then the latest rows"
    )
    read: Read = Read()
    data: DataRules = DataRules()
    training: Training = Training()
    gates: tuple[str, ...] = Field(
        ("beats baseline by 1%", "at most 1% worse than champion"),
        description="questions that a version must pass before release",
    )
    release: Release = Release()
    batch: Batch = Batch()
    serving: Serving = Serving()
    monitoring: Monitoring = Monitoring()

    @property
    def metric(self) -> Metric:
        """The metric by which the best candidate is chosen."""
        return METRICS[self.training.metric or DEFAULT_METRIC[self.task]]

    @property
    def masked(self) -> tuple[str, ...]:
        """The features that captures leave out: as the contract says, else those that are sensitive and not hashed."""
        capture = self.serving.capture
        if capture.mask is not None:
            return capture.mask
        return tuple(name for name, feature in self.features.items() if feature.sensitive and name not in capture.hash)

    @property
    def parsed_gates(self) -> tuple[Gate, ...]:
        return tuple(parse_gate(gate, self.task) for gate in self.gates)

    @property
    def other_columns(self) -> tuple[str, ...]:
        """Columns that may be there and that the model does not learn from: entity, time and the ignored ones."""
        return tuple(dict.fromkeys(name for name in (self.entity, self.time, *self.data.ignore) if name))
