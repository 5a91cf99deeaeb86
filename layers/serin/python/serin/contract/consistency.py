"""Do the parts of a contract fit together? What each key may say by itself, but not beside the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from serin.contract.declaration import Declaration
from serin.contract.durations import in_hours
from serin.contract.gates import parse_gate
from serin.contract.keys_and_defaults import Automation, FeatureType, Labels, NoTraffic, Strategy
from serin.contract.metrics import Task, metrics_of
from serin.contract.serving_spec import MAX_EXPLAINED_FEATURES, label_text

MOST_REPLAYED = timedelta(days=7)

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


class Misfit(NamedTuple):
    """A key that does not fit beside the others. place: its path in the contract."""

    place: tuple[str | int, ...]
    message: str


def misfits(contract: Declaration) -> Iterator[Misfit]:
    """Find what each key may say by itself but not beside the others."""
    if contract.target in contract.features:
        yield Misfit(("features", contract.target), "is the target and cannot be a feature: it would predict itself")
    yield from _class_misfits(contract)
    metric, known = contract.training.metric, metrics_of(contract.task)
    if metric is not None and metric not in known:
        message = f"{metric!r} is no metric for {contract.task}; there are {', '.join(known)}"
        yield Misfit(("training", "metric"), message)
    if contract.training.budget < contract.training.least_budget:
        message = (
            f"two folds of dummy, linear and each candidate need {contract.training.least_budget} fits: "
            "raise it, or name fewer training.candidates"
        )
        yield Misfit(("training", "budget"), message)
    yield from _reading_misfits(contract)
    for index, gate in enumerate(contract.gates):
        try:
            parse_gate(gate, contract.task)
        except ValueError as error:
            yield Misfit(("gates", index), str(error))
    if contract.batch.keep is not None and contract.entity is None:
        yield Misfit(("batch", "keep"), "answers are read by entity, and the contract names none")
    yield from _column_misfits(contract)
    yield from _serving_misfits(contract)
    yield from _release_misfits(contract)
    yield from _feedback_misfits(contract)


def _reading_misfits(contract: Declaration) -> Iterator[Misfit]:
    used = (*contract.features, contract.target, *contract.other_columns)
    for name in contract.read.columns.keys() - set(used):
        yield Misfit(("read", "columns", name), "is neither a feature nor target, entity, time or ignored")
    for name in used:
        notation = contract.read.of(name)
        if notation.decimal == notation.thousands:
            place = ("read", "columns", name) if name in contract.read.columns else ("read",)
            yield Misfit(place, f"decimal and thousands are both {notation.decimal!r}")
            break
    if contract.read.names is not None:
        needed = (*contract.features, contract.target)
        if missing := [name for name in needed if name not in contract.read.names]:
            yield Misfit(("read", "names"), f"does not name the column {missing[0]}")
        if len(set(contract.read.names)) < len(contract.read.names):
            yield Misfit(("read", "names"), "names a column twice")


def _column_misfits(contract: Declaration) -> Iterator[Misfit]:
    features, time = contract.features, contract.time
    for role, column in (("entity", contract.entity), ("time", contract.time)):
        if column == contract.target:
            yield Misfit((role,), f"{column} is the target")
    if time is not None and time == contract.entity:
        yield Misfit(("time",), f"{time} is the entity")
    if time in features and features[time].type in (FeatureType.CATEGORY, FeatureType.BOOLEAN):
        yield Misfit(("time",), f"{time} is a {features[time].type}; a time is a number, or no feature")
    for key, columns in (("mask", contract.masked), ("hash", contract.serving.capture.hash)):
        for index, column in enumerate(columns):
            if column not in features:
                yield Misfit(("serving", "capture", key, index), f"{column} is no feature")
    for index, column in enumerate(contract.data.ignore):
        if column in features or column == contract.target:
            yield Misfit(("data", "ignore", index), f"{column} is used by the model")


def _class_misfits(contract: Declaration) -> Iterator[Misfit]:
    for key in ("classes", "positive"):
        if getattr(contract, key) is not None and contract.task is not Task.CLASSIFICATION:
            yield Misfit((key,), "is for classification")
    if contract.classes is None:
        return
    if len(contract.classes) < 2 or len(set(contract.classes)) < len(contract.classes):
        yield Misfit(("classes",), "must name at least two labels, and each once")
    if contract.positive is not None and label_text(contract.positive) not in contract.classes:
        yield Misfit(("positive",), f"is {label_text(contract.positive)!r}, which classes does not name")


def _serving_misfits(contract: Declaration) -> Iterator[Misfit]:
    serving, is_partial = contract.serving, contract.serving.automation is Automation.PARTIAL
    if is_partial and contract.task is not Task.CLASSIFICATION:
        message = "partial is for classification: a value says of no row that it is unsure; write assist or full"
        yield Misfit(("serving", "automation"), message)
    elif is_partial and serving.review_below is None and serving.uncertainty == "none":
        message = "partial needs review_below or uncertainty: conformal, to tell which rows are unsure"
        yield Misfit(("serving", "automation"), message)
    if serving.review_below is not None and not is_partial:
        yield Misfit(("serving", "review_below"), "is for automation: partial")
    if serving.coverage != 0.9 and serving.uncertainty == "none":
        yield Misfit(("serving", "coverage"), "is for uncertainty: conformal")
    if serving.explain and len(contract.features) > MAX_EXPLAINED_FEATURES:
        most = MAX_EXPLAINED_FEATURES
        yield Misfit(("serving", "explain"), f"is for at most {most} features, and there are {len(contract.features)}")


def _release_misfits(contract: Declaration) -> Iterator[Misfit]:
    plan = contract.release
    for key, strategies in _RELEASE_KEYS.items():
        # Stored contracts spell out every default, so what is there by default is no finding.
        if plan.strategy not in strategies and getattr(plan, key) != type(plan).model_fields[key].default:
            yield Misfit(("release", key), f"is for {' and '.join(strategies)}, not for {plan.strategy}")
    for index, share in enumerate(plan.steps):
        if share <= (plan.steps[index - 1] if index else 0):
            yield Misfit(("release", "steps", index), "is not above the share before it; steps grow, from above 0%")
    for question, margin in plan.margins:
        if margin == 0:
            message = "is 0: that two versions are exactly equal can never be shown; write a margin, or null not to ask"
            yield Misfit(("release", "margins", question), message)
    yield from _comparison_misfits(contract)
    least = (plan.shadow or timedelta()) + len(plan.steps) * plan.bake
    if plan.strategy is Strategy.CANARY and least >= plan.limit:
        written = next((key for key in ("limit", "bake", "shadow") if key in plan.model_fields_set), "steps")
        message = f"ends no trial in a promotion: shadow and steps last {in_hours(least)}, limit {in_hours(plan.limit)}"
        yield Misfit(("release", written), message)
    if plan.strategy is Strategy.AB and not getattr(plan.margins, plan.question):
        message = f"needs a margin: an ab release that asks {plan.question} must also guard it"
        yield Misfit(("release", "question"), message)
    if not any(margin for _, margin in plan.margins):
        yield Misfit(("release", "margins"), "asks nothing; a release needs a margin for at least one question")


def _feedback_misfits(contract: Declaration) -> Iterator[Misfit]:
    plan, is_regression = contract.release, contract.task is Task.REGRESSION
    if plan.tolerance is not None and not is_regression:
        yield Misfit(("release", "tolerance"), f"is for {Task.REGRESSION}: a label is right or wrong")
    if not plan.margins.wrong:
        return
    if contract.labels is Labels.SELECTIVE:
        message = "cannot be asked where labels are selective: the versions would be compared on other cases"
        yield Misfit(("release", "margins", "wrong"), message)
    if is_regression and plan.tolerance is None:
        message = "needs release.tolerance, to tell which values are wrong"
        yield Misfit(("release", "margins", "wrong"), message)
    end = {Strategy.CANARY: "limit", Strategy.AB: "horizon", Strategy.BLUE_GREEN: "watch"}[plan.strategy]
    lasts = getattr(plan, end)
    if lasts and (plan.shadow or timedelta()) + plan.feedback_within >= lasts:
        until = f"after the shadow, is as long as {end}" if plan.shadow else f"is as long as {end}"
        yield Misfit(("release", "feedback_within"), f"{until}: nothing could be judged before that ends")


def _comparison_misfits(contract: Declaration) -> Iterator[Misfit]:
    """Find what hinders the comparisons off the path of answers: the challenger is asked what captures hold."""
    plan, capture = contract.release, contract.serving.capture
    hidden = [name for name in contract.features if name in (*contract.masked, *capture.hash, contract.entity)]
    is_default = capture.mask is None and bool(contract.masked)
    hint = "; sensitive features are masked unless serving.capture.mask says which are: [] for none"
    for key in ("replay", "shadow"):
        if getattr(plan, key) is None:
            continue
        if hidden:
            message = f"is not to be had: captures do not hold {', '.join(hidden)} as it was sent"
            yield Misfit(("release", key), message + (hint if is_default else ""))
        elif capture.share == 0:
            yield Misfit(("release", key), "is not to be had: by serving.capture.share nothing is captured")
    if plan.replay and plan.replay > MOST_REPLAYED:
        yield Misfit(("release", "replay"), f"is more than {MOST_REPLAYED.days}d, the most that is replayed")
    if plan.disagreement != type(plan).model_fields["disagreement"].default and not (plan.replay or plan.shadow):
        yield Misfit(("release", "disagreement"), "is for replay and shadow, and the contract asks for neither")
    if plan.on_no_traffic is NoTraffic.PROMOTE_ON_REPLAY and plan.replay is None:
        yield Misfit(("release", "on_no_traffic"), "promote_on_replay needs replay: how far back, like 24h")
    elif plan.on_no_traffic is NoTraffic.PROMOTE_ON_REPLAY and not _can_disagree(contract):
        message = "promote_on_replay needs uncertainty: conformal, to tell which values are too far apart"
        yield Misfit(("release", "on_no_traffic"), message)


def _can_disagree(contract: Declaration) -> bool:
    """Tell whether two versions can be seen to disagree: on a label, or by a value outside of the other's interval."""
    return contract.task is Task.CLASSIFICATION or contract.serving.uncertainty != "none"
