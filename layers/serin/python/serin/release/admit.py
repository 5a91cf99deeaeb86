"""May a version be released at all, whatever a trial of it would show?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from serin.registry.curate import taint
from serin.registry.records import Dataset, ModelVersion, VersionStatus


def eligibility(
    version: ModelVersion,
    versions: Iterable[ModelVersion],
    datasets: Sequence[Dataset],
    *,
    champion: int | None,
    unblocked_by: str,
    started_by: str,
) -> tuple[VersionStatus, set[str]]:
    """Tell the status of a version, and the SHA-256 of the models that are blocked: those that were rolled back.

    champion: who answers now; one that was compared with another is held. datasets: of the model; one that learned from
    an excluded one is held too. unblocked_by: who allowed this one all the same; for their release it is as if it had
    not been rolled back. started_by: who started it by hand; one that is held is released by nobody else.
    """
    is_compared = version.compared_with in (None, champion) or champion in (None, version.number)
    is_doubtful = not is_compared or bool(taint(version, datasets))
    if version.status is VersionStatus.HELD and started_by:
        version = replace(version, status=VersionStatus.PASSED)
    elif version.status is VersionStatus.PASSED and is_doubtful and not started_by and version.number != champion:
        version = replace(version, status=VersionStatus.HELD)
    blocked = {other.files["model.onnx"] for other in versions if other.status is VersionStatus.ROLLED_BACK}
    if not unblocked_by:
        return version.status, blocked
    was_passed = version.status is VersionStatus.ROLLED_BACK
    return VersionStatus.PASSED if was_passed else version.status, blocked - {version.files["model.onnx"]}


def rejection_reason(number: int, status: VersionStatus, model_sha256: str, blocked: Collection[str]) -> str:
    """Say what forbids that a version is released; empty where nothing does."""
    if status is VersionStatus.HELD:
        return (
            f"version {number} was not compared with the champion, or learned from data that was excluded since; "
            "only a person may release it"
        )
    if status is not VersionStatus.PASSED:
        return f"version {number} is {status}, and only one that passed its gates is released"
    if model_sha256 in blocked:
        return f"DIGEST_BLOCKED: the same model was rolled back before ({model_sha256[:16]})"
    return ""
