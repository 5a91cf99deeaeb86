"""What a turn saw is kept as it was, and read again, whichever version of the code wrote it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from serin.errors import Unverified
from serin.registry.records import VersionStatus
from serin.release.disagreement import Disagreement
from serin.release.evidence import Evidence, FeedbackCount, StoredEvidence, StoredReplay
from serin.release.plan import resolve_plan
from serin.release.sequential import Block
from serin.release.verdict import ArmFinding, Arms, ArmVerdict
from tests.builders import a_release

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FINDING = ArmFinding("error", ArmVerdict.PASS, 0.01, Block(500, 5, 400, 4), breach=0.1, passing=1.1, lower=-0.02)
EVIDENCE = Evidence(
    status=VersionStatus.PASSED,
    model_sha256="a",
    is_verified=True,
    champion=1,
    blocked=set(),
    asked_at=NOW,
    arms=Arms({"error": FINDING}, champion_units=500, challenger_units=400),
    shadow=Disagreement(300, 3),
    replay=Disagreement(40, 2, faults=1),
    replay_finding="it gave no number",
)
PLAN = resolve_plan({"strategy": "canary"}, seconds_per_plan_minute=60)
KEPT = StoredEvidence.of(PLAN, a_release(2), EVIDENCE, FeedbackCount(joined=5, others=1), NOW)


def test_what_a_turn_saw_is_kept_in_json_under_the_names_that_programs_read() -> None:
    stored = json.loads(json.dumps(KEPT.to_stored()))
    assert stored == {
        "digest": KEPT.digest,
        "at": "2026-01-01T12:00:00+00:00",
        "asked_at": "2026-01-01T12:00:00+00:00",
        "covered_seconds": 0.0,
        "champion_units": 500,
        "challenger_units": 400,
        "questions": {
            "error": {
                "question": "error",
                "verdict": "pass",
                "margin": 0.01,
                "seen": {"champion_units": 500, "champion_events": 5, "challenger_units": 400, "challenger_events": 4},
                "breach": 0.1,
                "passing": 1.1,
                "lower": -0.02,
                "upper": None,
            }
        },
        "shadow": {"compared": 300, "disagreeing": 3, "faults": 0},
        "replay": {"compared": 40, "disagreeing": 2, "faults": 1, "finding": "it gave no number"},
        "feedback": {"joined": 5, "others": 1},
    }
    assert StoredEvidence.read(stored) == KEPT


def test_what_was_written_before_there_was_as_much_to_say_is_read() -> None:
    assert StoredEvidence.read({}) == StoredEvidence()
    older = StoredEvidence.read({"digest": "d", "champion_units": 3, "replay": {"compared": 2, "disagreeing": 1}})
    assert (older.champion_units, older.replay, older.feedback) == (3, StoredReplay(2, 1), None)


def test_an_entry_of_the_history_says_more_and_is_read_all_the_same() -> None:
    assert StoredEvidence.read({**KEPT.to_stored(), "weight": 0.25, "files": {"model.onnx": "a"}}) == KEPT


@pytest.mark.parametrize("stored", [{"champion_units": "many"}, {"questions": {"error": {}}}], ids=str)
def test_what_is_no_evidence_is_unverified(stored: dict[str, Any]) -> None:
    with pytest.raises(Unverified, match="the evidence of the release"):
        StoredEvidence.read(stored)
