"""How does a contract become what serving reads?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from serin.contract.model import Contract
from serin.contract.serving_spec import CaptureSpec, Label, ServingSpec, SpecFeature, label_text
from serin.errors import Refused


def compile_spec(
    contract: Contract,
    *,
    values: Mapping[str, Sequence[str]],
    missing_codes: Mapping[str, int],
    pooled: Collection[str] = (),
    classes: Sequence[str],
) -> ServingSpec:
    """Compile the serving spec of one trained version.

    values: per category column, the categories seen in training, in the order of their codes.
    missing_codes: per category column, the code of the missing category where training saw one.
    pooled: the category columns in which rare categories were pooled with those never seen.
    classes: the target's labels as text, in the order of the probabilities; () for regression.
    What is calibrated for it, uncertainty and baseline, is left to training.
    """
    labels = tuple(native_labels(classes))
    _check_review(contract, classes)
    return ServingSpec(
        model=contract.model,
        task=contract.task.value,
        target=contract.target,
        features=tuple(
            SpecFeature(
                name=name,
                type=feature.type.value,
                min=feature.min,
                max=feature.max,
                allows_missing=feature.allows_missing,
                values=tuple(values.get(name, ())),
                missing_code=missing_codes.get(name, -1),
                pools_infrequent=name in pooled,
                notation=contract.read.of(name),
            )
            for name, feature in contract.features.items()
        ),
        classes=labels,
        positive=_positive_index(contract, classes) if len(classes) == 2 else None,
        entity=contract.entity,
        other_columns=contract.other_columns,
        capture=CaptureSpec(
            share=contract.serving.capture.share,
            masked=contract.masked,
            hashed=contract.serving.capture.hash,
        ),
        automation=contract.serving.automation.value,
        review_below=contract.serving.review_below,
        encoding=contract.read.encoding,
        names=contract.read.names or (),
    )


def native_labels(classes: Sequence[str]) -> list[Label]:
    """Give labels the JSON type they had: whole numbers where all are, true and false where all are, else text."""
    if all(label in ("true", "false") for label in classes):
        return [label == "true" for label in classes]
    try:
        numbers = [int(label) for label in classes]
    except ValueError:
        return list(classes)
    return list(numbers) if [str(number) for number in numbers] == list(classes) else list(classes)


def _check_review(contract: Contract, classes: Sequence[str]) -> None:
    """Raise Refused where no row could ever be unsure: the highest of n probabilities is at least 1/n."""
    below = contract.serving.review_below
    if below is not None and below * len(classes) <= 1:
        raise Refused(
            f"serving.review_below is {below:g} in the contract, and of {len(classes)} classes the highest probability "
            f"is never below {1 / len(classes):.3g}: write a larger one",
            code="REVIEW_BELOW",
        )


def _positive_index(contract: Contract, classes: Sequence[str]) -> int:
    """The class that the score speaks of: the contract's `positive`, else the last in order. Raises Refused."""
    if contract.positive is None:
        return len(classes) - 1
    if label_text(contract.positive) not in classes:
        raise Refused(
            f"positive is {label_text(contract.positive)!r} in the contract, and the data has the classes "
            f"{', '.join(map(repr, classes))}; write one of these",
            code="POSITIVE",
        )
    return list(classes).index(label_text(contract.positive))
