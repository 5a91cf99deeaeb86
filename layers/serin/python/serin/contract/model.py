"""What may a contract say?

Durations are written `15m`, `6h`, `7d`; shares `1%`; a budget `40 fits`. A key exists once something reads it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from serin.contract.gates import Gate, parse_gate
from serin.contract.metrics import DEFAULT_METRIC, METRICS, Metric, Task, metrics_of
from serin.contract.notation import MODEL_NAME_PATTERN
from serin.contract.spec import MAX_EXPLAINED_FEATURES, label_text

MOST_REPLAYED = timedelta(days=7)


def _parse_share(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip())
        if not match:
            raise ValueError("write a share like 1%")
        return float(match[1]) / 100
    return value


def _parse_duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+)\s*([smhd])", value.strip()) if isinstance(value, str) else None
    if not match or int(match[1]) == 0 or len(match[1]) > 9:
        raise ValueError("write a duration like 15m, 6h or 7d")
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def _parse_latency(value: object) -> object:
    match = re.fullmatch(r"(\d{1,6})\s*(ms|s)", value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError("write a latency like 100ms or 2s")
    return int(match[1]) * (1000 if match[2] == "s" else 1)


def _parse_fits(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)\s*fits?", value.strip())
        if not match:
            raise ValueError("write a budget like 40 fits")
        return int(match[1])
    return value


Share = Annotated[
    float,
    BeforeValidator(_parse_share),
    Field(ge=0, lt=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"},
                {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
            ]
        }
    ),
]
AnyShare = Annotated[
    float,
    BeforeValidator(_parse_share),
    Field(ge=0, le=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"},
                {"type": "number", "minimum": 0, "maximum": 1},
            ]
        }
    ),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    PlainSerializer(lambda value: f"{int(value.total_seconds())}s"),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,9}\s*[smhd]$"}),
]
Milliseconds = Annotated[
    int,
    BeforeValidator(_parse_latency),
    Field(ge=1, le=30_000),
    PlainSerializer(lambda value: f"{value}ms"),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,6}\s*(ms|s)$"}),
]
Fits = Annotated[
    int,
    BeforeValidator(_parse_fits),
    Field(ge=1, le=10_000),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^\d+\s*fits?$"}, {"type": "integer", "minimum": 1}]}),
]


def _as_text(value: object) -> object:
    """Take a number in a list of texts as it is written; true and false are not, for YAML reads yes and no so."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_as_text)]


def _hours(duration: timedelta) -> str:
    return f"{duration / timedelta(hours=1):,.4g} h"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FeatureType(StrEnum):
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"


class Feature(_Section):
    """One column that the model learns from."""

    type: FeatureType
    min: float | None = Field(None, description="the smallest value allowed; for integer and number")
    max: float | None = Field(None, description="the largest value allowed; for integer and number")
    values: tuple[Text, ...] | None = Field(
        None, description="the categories allowed; left out, they are learned from the data"
    )
    missing: Literal["allow", "refuse"] = Field("refuse", description="whether a row may leave this column empty")
    sensitive: bool = Field(
        False,
        description="a fact about a person that must not decide by itself; reported in receipts and checks, and left "
        "out of captures where serving.capture does not say otherwise",
    )

    @property
    def is_numeric(self) -> bool:
        """Tell whether the model reads it as a number; booleans are 0 and 1."""
        return self.type is not FeatureType.CATEGORY

    @property
    def allows_missing(self) -> bool:
        return self.missing == "allow"

    @model_validator(mode="after")
    def _keys_fit_the_type(self) -> Feature:
        if self.type in (FeatureType.CATEGORY, FeatureType.BOOLEAN) and (self.min is not None or self.max is not None):
            raise ValueError(f"min and max are for integer and number, not for {self.type}")
        if self.type is not FeatureType.CATEGORY and self.values is not None:
            raise ValueError(f"values is for category, not for {self.type}")
        if self.values is not None and (not self.values or len(set(self.values)) != len(self.values)):
            raise ValueError("values must name at least one category, and each once")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class DataRules(_Section):
    """Which uploads are accepted."""

    max_bad_rows: Share = Field(
        0.01,
        description="rows that break the contract are set aside up to this share; above it the upload is quarantined",
    )
    min_rows: int = Field(100, ge=10, le=100_000_000, description="an upload with fewer good rows is quarantined")
    uploads: Literal["append", "replace"] = Field(
        "append", description="append: each upload adds rows; replace: each upload is the whole table"
    )
    ignore: tuple[str, ...] = Field((), description="columns that may be there and are not used, such as row ids")


class Retrain(_Section):
    """When a new version is trained by itself."""

    on_upload: bool = Field(True, description="train when enough new rows were accepted")
    min_new_rows: int = Field(
        1000, ge=1, description="how many new rows are enough; the first training needs only data.min_rows"
    )
    every: Duration | None = Field(None, description="train after this long, where there is any new row")
    on_drift: bool = Field(True, description="train when what is asked has drifted, where there is any new row")


class Candidate(StrEnum):
    LINEAR = "linear"
    FOREST = "forest"
    BOOSTING = "boosting"


class Training(_Section):
    """How candidates are searched and compared."""

    metric: str | None = Field(None, description="by which the best is chosen; default roc_auc, for regression rmse")
    folds: int = Field(5, ge=2, le=20, description="folds of cross-validation")
    budget: Fits = Field(40, description="how many models may be fitted in all")
    candidates: tuple[Candidate, ...] = Field((Candidate.LINEAR, Candidate.FOREST, Candidate.BOOSTING), min_length=1)
    holdout: Share = Field(0.2, ge=0.05, le=0.5, description="rows that no candidate sees, kept for the gates")
    seed: int = Field(0, ge=0, lt=2**31)
    retrain: Retrain = Retrain()


class Strategy(StrEnum):
    CANARY = "canary"
    BLUE_GREEN = "blue_green"
    AB = "ab"


class NoTraffic(StrEnum):
    HOLD = "hold"
    EXPIRE = "expire"
    PROMOTE_ON_REPLAY = "promote_on_replay"


class Labels(StrEnum):
    ALL = "all"
    SELECTIVE = "selective"


class Question(StrEnum):
    ERROR = "error"
    SLOW = "slow"
    UNSURE = "unsure"
    WRONG = "wrong"


class Margins(_Section):
    """By how much a challenger's share of units must certainly not be worse; a question without one is not asked."""

    error: Share | None = Field(0.01, description="requests that it could not answer, or not with a number")
    slow: Share | None = Field(0.02, description="answers that took longer than slow_after")
    unsure: Share | None = Field(0.05, description="answers that were left to a person")
    wrong: Share | None = Field(None, description="answers that feedback showed to be wrong; needs feedback")


class Release(_Section):
    """How a version that passed its gates takes over."""

    strategy: Strategy = Field(
        Strategy.BLUE_GREEN,
        description="canary: a growing share of entities; blue_green: all at once, the old one kept ready; "
        "ab: a fixed split until one is certainly better",
    )
    replay: Duration | None = Field(
        None,
        description="before anything else the challenger is tried on captured requests, from as far back; one that it "
        "fails on refuses the release",
    )
    shadow: Duration | None = Field(
        None, description="canary: how long the challenger only watches, before it answers anybody"
    )
    disagreement: Share = Field(
        0.1,
        description="a replay or a shadow that certainly disagrees with more answers than this waits for a person",
    )
    steps: tuple[Share, ...] = Field(
        (0.05, 0.25, 0.5), min_length=1, max_length=20, description="canary: the shares of entities, growing"
    )
    bake: Duration = Field(timedelta(minutes=10), description="canary: how long each step lasts at least")
    min_requests: int = Field(
        400,
        ge=1,
        le=10_000_000,
        description="how many units each arm must have answered before the share grows; a unit is an entity's first "
        "request, or a request where there is no entity",
    )
    margins: Margins = Margins()
    slow_after: Milliseconds = Field(100, description="an answer that took longer is slow")
    feedback_within: Duration = Field(
        timedelta(days=1),
        description="wrong: feedback counts that came within this time after its prediction; a prediction is judged "
        "once it is so old",
    )
    tolerance: float | None = Field(
        None, gt=0, description="wrong, for regression: an answer further than this from the truth is wrong"
    )
    on_no_traffic: NoTraffic = Field(
        NoTraffic.HOLD,
        description="when a step ends and nobody asked. hold: wait until the limit, then expire; expire: at once; "
        "promote_on_replay: wait until the limit, then promote if the replay certainly agrees, else expire",
    )
    approval: Literal["none", "required"] = Field("none", description="whether a person must agree to a promotion")
    watch: Duration | None = Field(
        None,
        description="how long a tenth of the entities stays with the previous champion after a promotion, to compare; "
        "a breach then goes back to it",
    )
    limit: Duration = Field(timedelta(days=7), description="a trial that is not decided by then expires")
    split: Share = Field(0.5, gt=0, description="ab: the challenger's share of entities")
    horizon: Duration = Field(timedelta(days=14), description="ab: the champion stays if nothing is certain by then")
    question: Question = Field(Question.WRONG, description="ab: in what the challenger must be better")


_RELEASE_KEYS: dict[str, tuple[Strategy, ...]] = {
    "shadow": (Strategy.CANARY,),
    "steps": (Strategy.CANARY,),
    "bake": (Strategy.CANARY,),
    "on_no_traffic": (Strategy.CANARY,),
    "limit": (Strategy.CANARY, Strategy.BLUE_GREEN),
    "split": (Strategy.AB,),
    "horizon": (Strategy.AB,),
    "question": (Strategy.AB,),
}
"""Which strategies read a key; those that are not here, all do."""


class Batch(_Section):
    """What becomes of answers to files."""

    keep: Duration | None = Field(
        None, description="how long the answers of a batch can be read by entity over HTTP; left out, not at all"
    )


class Capture(_Section):
    """What is kept of predictions, to watch the model by."""

    share: AnyShare = Field(1.0, description="of the entities; one is kept with all of its predictions or with none")
    mask: tuple[str, ...] | None = Field(
        None,
        description="features whose values are left out; default the sensitive ones that are not hashed, [] for none",
    )
    hash: tuple[str, ...] = Field(
        (),
        description="features of whose values only a hash is kept, which can be tried out: mask what is secret",
    )


class Automation(StrEnum):
    SHADOW = "shadow"
    ASSIST = "assist"
    PARTIAL = "partial"
    FULL = "full"


class Serving(_Section):
    """What an answer says besides the prediction, what may be decided by it, and what is kept of it."""

    automation: Automation = Field(
        Automation.FULL,
        description="who decides. shadow: nobody, by these answers; assist: a person, every row; "
        "partial: a person where the model is unsure; full: the answer, which then says nothing of it",
    )
    review_below: Share | None = Field(
        None,
        description="with automation partial: a row whose highest probability is below this is for a person to decide",
    )
    uncertainty: Literal["none", "conformal"] = Field(
        "none",
        description="conformal: an interval, or a set of labels, that holds the truth as often as coverage says; "
        "a part of the training rows is kept to calibrate it",
    )
    coverage: Share = Field(0.9, ge=0.5, le=0.99, description="how often the truth lies in the interval or set")
    explain: bool = Field(
        False,
        description="whether …/predict?explain=true says what each feature contributed to a score; for that, up to 64 "
        "rows of the training data are kept within a version",
    )
    capture: Capture = Capture()


class Monitoring(_Section):
    """How the champion is watched."""

    every: Duration = Field(timedelta(hours=1), description="how often it is checked for drift")
    window: Duration = Field(timedelta(hours=24), description="how much of what was served is looked at")
    cooldown: Duration = Field(timedelta(hours=6), description="how long after an alarm no other follows")
    max_age: Duration | None = Field(None, description="an older version raises an alarm too")


class Contract(_Section):
    """What a team declares about a model."""

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

    @property
    def digest(self) -> str:
        """SHA-256 of what it says. Comments and spelled-out defaults do not change it; the order of features does."""
        text = json.dumps(self.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Contract:
        for place, message in self._misfits():
            raise PydanticCustomError("misfit", "{message}", {"message": message, "place": place})
        return self

    def _misfits(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Find what each key may say by itself but not beside the others, with its place."""
        if self.target in self.features:
            yield ("features", self.target), "is the target and cannot be a feature: it would predict itself"
        yield from self._class_misfits()
        if self.training.metric is not None and self.training.metric not in metrics_of(self.task):
            known = ", ".join(metrics_of(self.task))
            yield ("training", "metric"), f"{self.training.metric!r} is no metric for {self.task}; there are {known}"
        for index, gate in enumerate(self.gates):
            try:
                parse_gate(gate, self.task)
            except ValueError as error:
                yield ("gates", index), str(error)
        if self.batch.keep is not None and self.entity is None:
            yield ("batch", "keep"), "answers are read by entity, and the contract names none"
        for role, column in (("entity", self.entity), ("time", self.time)):
            if column == self.target:
                yield (role,), f"{column} is the target"
        if self.time is not None and self.time == self.entity:
            yield ("time",), f"{self.time} is the entity"
        if self.time in self.features and self.features[self.time].type in (FeatureType.CATEGORY, FeatureType.BOOLEAN):
            yield ("time",), f"{self.time} is a {self.features[self.time].type}; a time is a number, or no feature"
        for key, columns in (("mask", self.masked), ("hash", self.serving.capture.hash)):
            for index, column in enumerate(columns):
                if column not in self.features:
                    yield ("serving", "capture", key, index), f"{column} is no feature"
        for index, column in enumerate(self.data.ignore):
            if column in self.features or column == self.target:
                yield ("data", "ignore", index), f"{column} is used by the model"
        yield from self._serving_misfits()
        yield from self._release_misfits()
        yield from self._feedback_misfits()

    def _class_misfits(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        for key in ("classes", "positive"):
            if getattr(self, key) is not None and self.task is not Task.CLASSIFICATION:
                yield (key,), "is for classification"
        if self.classes is None:
            return
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            yield ("classes",), "must name at least two labels, and each once"
        if self.positive is not None and label_text(self.positive) not in self.classes:
            yield ("positive",), f"is {label_text(self.positive)!r}, which classes does not name"

    def _serving_misfits(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        serving, is_partial = self.serving, self.serving.automation is Automation.PARTIAL
        if is_partial and self.task is not Task.CLASSIFICATION:
            message = "partial is for classification: a value says of no row that it is unsure; write assist or full"
            yield ("serving", "automation"), message
        elif is_partial and serving.review_below is None and serving.uncertainty == "none":
            message = "partial needs review_below or uncertainty: conformal, to tell which rows are unsure"
            yield ("serving", "automation"), message
        if serving.review_below is not None and not is_partial:
            yield ("serving", "review_below"), "is for automation: partial"
        if serving.coverage != 0.9 and serving.uncertainty == "none":
            yield ("serving", "coverage"), "is for uncertainty: conformal"
        if serving.explain and len(self.features) > MAX_EXPLAINED_FEATURES:
            most = MAX_EXPLAINED_FEATURES
            yield ("serving", "explain"), f"is for at most {most} features, and there are {len(self.features)}"

    def _release_misfits(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        plan = self.release
        for key, strategies in _RELEASE_KEYS.items():
            # Stored contracts spell out every default, so what is there by default is no finding.
            if plan.strategy not in strategies and getattr(plan, key) != type(plan).model_fields[key].default:
                yield ("release", key), f"is for {' and '.join(strategies)}, not for {plan.strategy}"
        for index, share in enumerate(plan.steps):
            if share <= (plan.steps[index - 1] if index else 0):
                yield ("release", "steps", index), "is not above the share before it; steps grow, from above 0%"
        for question, margin in plan.margins:
            if margin == 0:
                yield (
                    ("release", "margins", question),
                    "is 0: that two versions are exactly equal can never be shown; write a margin, or null not to ask",
                )
        yield from self._comparison_misfits()
        least = (plan.shadow or timedelta()) + len(plan.steps) * plan.bake
        if plan.strategy is Strategy.CANARY and least >= plan.limit:
            written = next((key for key in ("limit", "bake", "shadow") if key in plan.model_fields_set), "steps")
            message = f"ends no trial in a promotion: shadow and steps last {_hours(least)}, limit {_hours(plan.limit)}"
            yield ("release", written), message
        if plan.strategy is Strategy.AB and not getattr(plan.margins, plan.question):
            yield ("release", "question"), f"needs a margin: an ab release that asks {plan.question} must also guard it"
        if not any(margin for _, margin in plan.margins):
            yield ("release", "margins"), "asks nothing; a release needs a margin for at least one question"

    def _feedback_misfits(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        plan, is_regression = self.release, self.task is Task.REGRESSION
        if plan.tolerance is not None and not is_regression:
            yield ("release", "tolerance"), f"is for {Task.REGRESSION}: a label is right or wrong"
        if not plan.margins.wrong:
            return
        if self.labels is Labels.SELECTIVE:
            message = "cannot be asked where labels are selective: the versions would be compared on other cases"
            yield ("release", "margins", "wrong"), message
        if is_regression and plan.tolerance is None:
            message = "needs release.tolerance, to tell which values are wrong"
            yield ("release", "margins", "wrong"), message
        end = {Strategy.CANARY: "limit", Strategy.AB: "horizon", Strategy.BLUE_GREEN: "watch"}[plan.strategy]
        lasts = getattr(plan, end)
        if lasts and (plan.shadow or timedelta()) + plan.feedback_within >= lasts:
            until = f"after the shadow, is as long as {end}" if plan.shadow else f"is as long as {end}"
            yield ("release", "feedback_within"), f"{until}: nothing could be judged before that ends"

    def _comparison_misfits(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Find what hinders the comparisons off the path of answers: the challenger is asked what captures hold."""
        plan, capture = self.release, self.serving.capture
        hidden = [name for name in self.features if name in (*self.masked, *capture.hash, self.entity)]
        is_default = capture.mask is None and bool(self.masked)
        hint = "; sensitive features are masked unless serving.capture.mask says which are: [] for none"
        for key in ("replay", "shadow"):
            if getattr(plan, key) is None:
                continue
            if hidden:
                message = f"is not to be had: captures do not hold {', '.join(hidden)} as it was sent"
                yield ("release", key), message + (hint if is_default else "")
            elif capture.share == 0:
                yield ("release", key), "is not to be had: by serving.capture.share nothing is captured"
        if plan.replay and plan.replay > MOST_REPLAYED:
            yield ("release", "replay"), f"is more than {MOST_REPLAYED.days}d, the most that is replayed"
        if plan.disagreement != type(plan).model_fields["disagreement"].default and not (plan.replay or plan.shadow):
            yield ("release", "disagreement"), "is for replay and shadow, and the contract asks for neither"
        if plan.on_no_traffic is NoTraffic.PROMOTE_ON_REPLAY and plan.replay is None:
            yield ("release", "on_no_traffic"), "promote_on_replay needs replay: how far back, like 24h"
        elif plan.on_no_traffic is NoTraffic.PROMOTE_ON_REPLAY and not self._labels_can_differ:
            message = "promote_on_replay needs uncertainty: conformal, to tell which values are too far apart"
            yield ("release", "on_no_traffic"), message

    @property
    def _labels_can_differ(self) -> bool:
        """Whether two versions can be seen to disagree: on a label, or by a value outside of the other's interval."""
        return self.task is Task.CLASSIFICATION or self.serving.uncertainty != "none"
