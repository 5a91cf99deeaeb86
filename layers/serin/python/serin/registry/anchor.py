"""From which version does a margin count? From the anchor: the last that earned the seat, and did not merely get it.

A margin that counted from each champion anew would let versions get worse by a little each time, without end.
"""

from __future__ import annotations

from collections.abc import Sequence

from serin.registry.records import ModelVersion, Release, ReleaseStatus, VersionStatus


def find_anchor(champion: int, versions: Sequence[ModelVersion], releases: Sequence[Release]) -> int:
    """Find the last version, up to the champion's promotion, that was promoted by a significant gain or by a person.

    The first champion is one too. Versions that were rolled back are left out.
    """
    by_number = {version.number: version for version in versions}
    standing = [
        release
        for release in sorted(releases, key=lambda release: release.started_at)
        if release.status in (ReleaseStatus.PROMOTED, ReleaseStatus.WATCHING)
        and release.version in by_number
        and (by_number[release.version].status is not VersionStatus.ROLLED_BACK or release.version == champion)
    ]
    numbers = [release.version for release in standing]
    if champion not in numbers:
        return champion
    last = len(numbers) - 1 - numbers[::-1].index(champion)
    for release in reversed(standing[: last + 1]):
        if by_number[release.version].gain or is_by_person(release):
            return release.version
    return numbers[0]


def is_by_person(release: Release) -> bool:
    """Tell whether a person wanted this version to answer: they started its release, or agreed to it."""
    return bool(release.started_by) or (release.approval is not None and release.approval.is_approved)
