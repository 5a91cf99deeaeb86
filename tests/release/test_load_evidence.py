"""The past of a release stays as it was counted, however many entities come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from serin.monitoring import units as unit_bound
from serin.monitoring.minutes import Counts, Minute
from serin.monitoring.summary import Summary
from serin.monitoring.truths import ReceivedTruth, Truths
from serin.monitoring.units import Unit, Units
from serin.release.evidence_cache import EvidenceCache
from serin.release.load_evidence import arrived_minutes, complete_minutes, load_evidence
from serin.release.plan import resolve_plan
from serin.serving.prediction_id import row_id
from tests.builders import a_release
from tests.fakes import FakeObjects

START = datetime(2026, 1, 1, tzinfo=UTC)
RELEASE = a_release(2, champion_before=1, started_at=START.isoformat(), step_since=START.isoformat())
PLAN = resolve_plan(
    {"strategy": "canary", "margins": {"wrong": 0.02}, "feedback_within": "4m"}, seconds_per_plan_minute=60
)
KEPT = 30


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of an entity in a minute, whether it failed, and how many minutes later its truth came, if any."""

    entity: int
    minute: int
    is_error: bool
    truth_after: int | None


def draw(random: Random) -> list[Asked]:
    """Far more entities than are kept, some of which ask again and again."""
    return [
        Asked(
            entity=random.randrange(1000),
            minute=random.randrange(12),
            is_error=random.random() < 0.3,
            truth_after=random.choice([None, 1, 3, 6]),
        )
        for _ in range(300)
    ]


def summary_of(requests: list[Asked], number: int) -> Summary:
    firsts, truths = {}, {}
    for place, asked in enumerate(requests):
        at = int((START + timedelta(minutes=asked.minute, seconds=place % 60)).timestamp() * 1000)
        name, arm = f"{number}p{place}", "challenger" if asked.entity % 2 else "champion"
        unit = Unit(at, name, arm, asked.is_error, 1.0, False, False, predicted=None if asked.is_error else "yes")
        firsts[f"{asked.entity:016x}"] = unit
        if asked.truth_after is not None:
            truths[row_id(name, 0)] = ReceivedTruth(at + asked.truth_after * 60_000, "no")
    units = Units(firsts, last=max((unit.at for unit in firsts.values()), default=0))
    return Summary(releases={("loans", RELEASE.trial): units}, truths={"loans": Truths(truths)})


def events(minutes: list[Minute]) -> list[tuple[int, ...]]:
    arms = ((minute.at, minute.champion, minute.challenger) for minute in minutes)
    return [(at, *(count for arm in both for count in (arm.units, arm.timed, arm.error))) for at, *both in arms]


def wrongs(minutes: list[Minute]) -> list[tuple[int, ...]]:
    arms = ((minute.at, minute.champion, minute.challenger) for minute in minutes)
    return [(at, *(count for arm in both for count in (arm.judged, arm.wrong))) for at, *both in arms]


@pytest.mark.parametrize("seed", range(10))
def test_what_a_complete_minute_showed_stays_once_entities_are_left_out(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_bound, "KEPT_UNITS", KEPT)
    data, requests = FakeObjects(), draw(Random(seed))
    before: list[Minute] = []
    for minute in range(20):
        now = START + timedelta(minutes=minute + 1)
        arrived = [asked for asked in requests if asked.minute == minute]
        data.put(f"summaries/dt=2026-01-01/hour=00/{minute:02}.json", summary_of(arrived, minute).to_json())
        cache = load_evidence(data, PLAN, RELEASE, now)
        assert EvidenceCache.from_json(cache.to_json()) == cache
        found = complete_minutes(arrived_minutes(cache, PLAN, RELEASE, now), PLAN, now)
        assert events(found)[: len(before)] == events(before)
        ripe = [each for each in wrongs(before) if each[0] < int(now.timestamp() // 60) - 8]
        assert wrongs(found)[: len(ripe)] == ripe
        before = found
    assert cache.summary.releases["loans", RELEASE.trial].is_full
    assert sum(minute.champion.units + minute.challenger.units for minute in before) > KEPT
    assert sum(count for _, *counts in ripe[-5:] for count in counts)  # whose truth came when they were settled


def test_captures_that_are_late_count_as_long_as_nobody_is_left_out() -> None:
    data, now = FakeObjects(), START + timedelta(minutes=10)
    for number in range(2):
        asked = [Asked(10 * number + entity, 1, False, None) for entity in range(5)]
        data.put(f"summaries/dt=2026-01-01/hour=00/{number}.json", summary_of(asked, number).to_json())
        (minute,) = complete_minutes(
            arrived_minutes(load_evidence(data, PLAN, RELEASE, now), PLAN, RELEASE, now), PLAN, now
        )
        assert minute.champion.units + minute.challenger.units == 5 * (number + 1)


@pytest.mark.parametrize("content", [b"no summary", b'{"format": 99}'])
def test_a_summary_that_is_broken_tells_nothing_and_keeps_nobody_from_looking(content: bytes) -> None:
    data, now = FakeObjects(), START + timedelta(minutes=10)
    data.put("summaries/dt=2026-01-01/hour=00/0.json", content)
    data.put("summaries/dt=2026-01-01/hour=00/1.json", summary_of([Asked(5, 1, False, None)], 1).to_json())
    cache = load_evidence(data, PLAN, RELEASE, now)
    assert cache.asked_at == START + timedelta(minutes=1)
    assert cache == load_evidence(data, PLAN, RELEASE, now)


def test_whoever_asks_again_is_no_evidence_and_yet_traffic() -> None:
    data, now = FakeObjects(), START + timedelta(minutes=10)
    assert load_evidence(data, PLAN, RELEASE, now).asked_at is None
    for minute in (1, 7):
        asked = summary_of([Asked(5, minute, False, None)], minute)
        data.put(f"summaries/dt=2026-01-01/hour=00/{minute}.json", asked.to_json())
    cache = load_evidence(data, PLAN, RELEASE, now)
    assert cache.asked_at == START + timedelta(minutes=7)
    assert [minute.at for minute in arrived_minutes(cache, PLAN, RELEASE, now)] == [int(START.timestamp() // 60) + 1]


@pytest.mark.parametrize("arrival", [7, 125, 240])
def test_a_minute_is_complete_once_its_captures_have_had_the_time_that_they_take_here(arrival: int) -> None:
    plan = resolve_plan({"strategy": "canary"}, seconds_per_plan_minute=60, arrival_seconds=arrival)
    over = START + timedelta(minutes=1, seconds=arrival)
    first = Minute(int(START.timestamp() // 60), Counts(), Counts())
    assert complete_minutes([first], plan, over - timedelta(seconds=1)) == []
    assert complete_minutes([first], plan, over) == [first]
