"""What may each section of a contract say, and what holds where it says nothing?

A key exists once something reads it. What a contract says beside its sections stands in `declaration.py`, and how its
tables are written in `reading.py`, with the defaults of that.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serin.contract.durations import Duration
from serin.contract.quantities import AnyShare, Fits, Milliseconds, Share, Text


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FeatureType(StrEnum):
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"


class Feature(Section):
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


class DataRules(Section):
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


class Retrain(Section):
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


FINAL_FITS = 2  # after the search: the chosen one and the dummy, on all training rows


class Training(Section):
    """How candidates are searched and compared."""

    metric: str | None = Field(None, description="by which the best is chosen; default roc_auc, for regression rmse")
    folds: int = Field(5, ge=2, le=20, description="folds of cross-validation")
    budget: Fits = Field(40, description="how many models may be fitted in all")
    candidates: tuple[Candidate, ...] = Field((Candidate.LINEAR, Candidate.FOREST, Candidate.BOOSTING), min_length=1)
    holdout: Share = Field(0.2, ge=0.05, le=0.5, description="rows that no candidate sees, kept for the gates")
    seed: int = Field(0, ge=0, lt=2**31)
    retrain: Retrain = Retrain()

    @property
    def least_budget(self) -> int:
        """Count the fits of the shortest search: two folds of both baselines, linear being one, and of each family."""
        return 2 * (2 + len({*self.candidates} - {Candidate.LINEAR})) + FINAL_FITS


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


class Margins(Section):
    """By how much a challenger's share of units must certainly not be worse; a question without one is not asked."""

    error: Share | None = Field(0.01, description="requests that it could not answer, or not with a number")
    slow: Share | None = Field(0.02, description="answers that took longer than slow_after")
    unsure: Share | None = Field(0.05, description="answers that were left to a person")
    wrong: Share | None = Field(None, description="answers that feedback showed to be wrong; needs feedback")


class Release(Section):
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


class Batch(Section):
    """What becomes of answers to files."""

    keep: Duration | None = Field(
        None, description="how long the answers of a batch can be read by entity over HTTP; left out, not at all"
    )


class Capture(Section):
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


class Serving(Section):
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


class Monitoring(Section):
    """How the champion is watched."""

    every: Duration = Field(timedelta(hours=1), description="how often it is checked for drift")
    window: Duration = Field(timedelta(hours=24), description="how much of what was served is looked at")
    cooldown: Duration = Field(timedelta(hours=6), description="how long after an alarm no other follows")
    max_age: Duration | None = Field(None, description="an older version raises an alarm too")
