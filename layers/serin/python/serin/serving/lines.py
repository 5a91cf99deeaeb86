"""What is kept of a prediction, and of its truth? One line of JSON each: here it is said once what they hold.

The endpoint writes them, and whoever counts predictions reads them, within these bounds. The keys stand in this order.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from serin.contract.notation import MODEL_NAME_PATTERN

Value = int | float | str | bool | None
Moment = Annotated[int, Meta(ge=0, lt=10**14)]  # milliseconds since 1970
ModelName = Annotated[str, Meta(pattern=MODEL_NAME_PATTERN)]


class Arm(StrEnum):
    """Which side of a trial a request is on. direct: on none, for it was not split."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    DIRECT = "direct"


class Fault(StrEnum):
    """What a version did wrong instead of answering."""

    RAISED = "raised"
    NOT_A_NUMBER = "not_a_number"
    LATE = "late"


class Capture(msgspec.Struct, frozen=True, tag_field="serin", tag="capture"):
    """One request that was not refused.

    version: the one that was to answer; answered: the one that did, None where nobody could. arm: `direct` is no
    evidence. release: where the route has a challenger. unit: the hash of the entity, or of the prediction's id where
    `entity` is false. ms: inside the endpoint; cold: with the load of a model or a process. fault: what `version` did
    wrong. unsure: rows for a person to decide. n: rows asked, of which `rows` and `scores` may hold fewer; both in the
    order of features and classes that `laid_out_by` has.
    """

    v: Literal[1]
    id: Annotated[str, Meta(min_length=1, max_length=100)]
    at: Moment
    model: ModelName
    version: Annotated[int, Meta(ge=1)]
    answered: Annotated[int, Meta(ge=1)] | None
    arm: Arm
    release: Annotated[str, Meta(min_length=1, max_length=100)] | None
    unit: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    entity: bool
    ms: Annotated[float, Meta(ge=0)]
    cold: bool
    fault: Fault | None
    unsure: Annotated[int, Meta(ge=0)]
    n: Annotated[int, Meta(ge=1)]
    rows: list[list[Value]]
    scores: list[list[float | None]]

    @property
    def is_error(self) -> bool:
        """Tell whether the version that was to answer failed, be it that another one answered in its place."""
        return self.fault is not None or self.answered is None

    @property
    def laid_out_by(self) -> int:
        """The version in whose features' and classes' order rows and scores stand."""
        return self.answered or self.version


class Feedback(msgspec.Struct, frozen=True, tag_field="serin", tag="feedback"):
    """What turned out of one row of a prediction. at: when it was received. id: the prediction's, without the row."""

    v: Literal[1]
    at: Moment
    model: ModelName
    id: Annotated[str, Meta(pattern="^[0-9A-Za-z]{1,32}$")]
    row: Annotated[int, Meta(ge=0, lt=1000)]
    truth: int | float | str | bool
