"""What is remembered about a model? One frozen value for each kind of row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from serin.registry.keys import version_prefix


class ReceiptStatus(StrEnum):
    ACCEPTED = "accepted"
    HELD = "held"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The verdict on one upload. `reasons` say why rows or all of it were set aside or held, `notes` what else to know.

    new_rows: how many of the good rows do not repeat others. decided_by: who accepted or refused it, where it was held.
    """

    id: str
    model: str
    key: str
    object_version: str
    status: ReceiptStatus
    at: str
    reasons: tuple[dict[str, Any], ...] = ()
    notes: tuple[dict[str, Any], ...] = ()
    size: int = 0
    sha256: str = ""
    rows: int = 0
    good_rows: int = 0
    bad_rows: int = 0
    dataset: str | None = None
    duplicate_of: str | None = None
    quarantine: str | None = None
    new_rows: int = 0
    decided_by: str = ""


class DatasetState(StrEnum):
    """HELD: a person must accept or refuse it. REFUSED: one refused it. EXCLUDED: it was taken back after all."""

    ACCEPTED = "accepted"
    HELD = "held"
    REFUSED = "refused"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class UploadSearch:
    """How far the search for uploads without a receipt has come, over the uploads of all models.

    searched_at: when the last search began that saw every upload. began_at: when the one under way began; empty where
    none is. after: the last key that it saw.
    """

    searched_at: str = ""
    began_at: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """An immutable, content-addressed version of the data. Trained on is one that is accepted.

    files: maps each file's name to its SHA-256. is_considered: whether a decision on training knew of it. state_reason,
    state_by: why it is in its state, and who put it there. new_rows: those that do not repeat others; None: not
    counted. repeats: those that do. doubts: why it was held. sent_at: when its upload was written, the last time where
    it was sent again; sent: how often that was.
    """

    id: str
    model: str
    rows: int
    receipt: str
    key: str
    files: dict[str, str]
    accepted_at: str
    is_considered: bool = False
    state: DatasetState = DatasetState.ACCEPTED
    state_reason: str = ""
    state_by: str = ""
    new_rows: int | None = None
    repeats: int = 0
    doubts: tuple[dict[str, Any], ...] = ()
    sent_at: str = ""
    sent: int = 1

    @property
    def is_used(self) -> bool:
        """Tell whether trainings learn from it."""
        return self.state is DatasetState.ACCEPTED

    @property
    def counted_rows(self) -> int:
        """How many rows it adds to those before it."""
        return self.rows if self.new_rows is None else self.new_rows

    def file(self, kind: str) -> str | None:
        """Name the file of a kind, which may have a digest in its name; None where there is none."""
        return next((name for name in self.files if name.split(".")[0].split("-")[0] == kind), None)

    @property
    def table(self) -> str:
        """Name the file of its rows: Parquet, or .npz where it is of before."""
        return self.file("part") or "data.npz"

    @property
    def is_of_before(self) -> bool:
        """Whether it was kept before datasets were Parquet; then its name does not follow from its rows as now."""
        return self.file("part") is None

    @property
    def written_at(self) -> str:
        """When its table was last written: of those that replace each other the latest counts."""
        return self.sent_at or self.accepted_at


class RunStatus(StrEnum):
    RUNNING = "running"
    REGISTERED = "registered"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Run:
    """One training. `id` is a hash of what goes in: datasets, contract, code and seed.

    Trained again beside another champion, it is another run.
    """

    id: str
    model: str
    status: RunStatus
    datasets: tuple[str, ...]
    rows: int
    contract: dict[str, Any]
    contract_digest: str
    code_digest: str
    reason: str
    started_at: str
    request: str = ""
    attempt: int = 1
    ended_at: str | None = None
    version: int | None = None
    error: str | None = None

    @property
    def execution(self) -> str:
        """The name of its workflow execution. A name is spent once used, so a second attempt has another."""
        return f"{self.id}-{self.attempt}"

    @property
    def payload(self) -> dict[str, Any]:
        """What its workflow execution is started with. The attempt says which one speaks when the run is closed."""
        return {"model": self.model, "run": self.id, "attempt": self.attempt}


@dataclass(frozen=True, slots=True)
class TrainingState:
    """Whether a training runs, and what was decided last, so that everybody can see why none does.

    answered: the ids of the last requests by hand and for drift. last_version: the highest version number ever given.
    is_drift_waiting: a training was asked for because of drift, and could not start yet.
    """

    running: str | None = None
    decision: str = ""
    decided_at: str = ""
    answered: tuple[str, ...] = ()
    last_version: int = 0
    is_drift_waiting: bool = False


@dataclass(frozen=True, slots=True)
class DriftState:
    """What the last check for drift found. report: its key in the data bucket; alarmed_at: when people were told."""

    checked_at: str = ""
    version: int | None = None
    verdict: str = ""
    reason: str = ""
    report: str = ""
    alarmed_at: str = ""


class VersionStatus(StrEnum):
    """HELD: it passed what could be asked, and cannot be compared with the champion; a person may release it."""

    PASSED = "passed"
    HELD = "held"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model. `files` maps each artifact's name to its SHA-256; `gates` holds the evidence of each.

    served: whether it ever was champion or challenger; only then can requests address it. gain: whether it was
    certainly better than the champion that it was compared with. holdout: how many rows of each dataset it was judged
    by. fitted: on how many rows its models were fitted. compared_with: the champion of then, 0 where there was none;
    None: not noted.
    """

    model: str
    number: int
    run: str
    status: VersionStatus
    files: dict[str, str]
    manifest_sha256: str
    datasets: tuple[str, ...]
    chosen: str
    metrics: dict[str, float]
    gates: tuple[dict[str, Any], ...]
    created_at: str
    served: bool = False
    gain: bool = False
    holdout: dict[str, int] = field(default_factory=dict)
    fitted: dict[str, int] = field(default_factory=dict)
    compared_with: int | None = None

    @property
    def prefix(self) -> str:
        return version_prefix(self.model, self.number)


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that answers, with the digests that serving checks. `replaced` is the champion before it."""

    version: int
    files: dict[str, str]
    since: str
    replaced: int | None = None


@dataclass(frozen=True, slots=True)
class Challenger:
    """The version on trial in the live release. weight: the share of entities that it answers, from 0 to 1.

    lease_until: past this time the weight counts as 0, so that a release whose mover died lapses by itself.
    """

    version: int
    files: dict[str, str]
    release: str
    weight: float = 0.0
    lease_until: str = ""


@dataclass(frozen=True, slots=True)
class Retirement:
    """That nothing is done for a model by itself any more. since, by, reason: when it was retired, by whom and why.

    until: from when on it does not answer; empty: it answers until it is deleted.
    """

    since: str
    by: str
    reason: str
    until: str = ""

    def is_over(self, now: datetime) -> bool:
        """Tell whether the model answers no longer."""
        return bool(self.until) and datetime.fromisoformat(self.until) <= now

    def __str__(self) -> str:
        return f"retired since {self.since[:19]}, by {self.by.rpartition('/')[2]}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Deletion:
    """That a model was deleted, or is being deleted: ended_at is empty then. What went stands in the history."""

    began_at: str
    by: str
    reason: str
    ended_at: str = ""

    def __str__(self) -> str:
        return f"deleted at {(self.ended_at or self.began_at)[:19]}, by {self.by.rpartition('/')[2]}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Life:
    """Where a model stands in its life. retirement: None while it is in use. deletion: the last one of its name."""

    retirement: Retirement | None = None
    deletion: Deletion | None = None

    @property
    def is_being_deleted(self) -> bool:
        """Tell whether a deletion began and has not come to its end; it may have broken off."""
        return self.deletion is not None and not self.deletion.ended_at


@dataclass(frozen=True, slots=True)
class Route:
    """The row that serving reads. salt: goes into the hash that splits entities, so that each release splits anew.

    retirement: that of the model's life, which serving does not read.
    """

    model: str
    champion: Champion
    challenger: Challenger | None = None
    salt: str = ""
    retirement: Retirement | None = None


class ReleaseStatus(StrEnum):
    """QUEUED: another release of the model is under way. LIVE: on trial. WATCHING: promoted, and still compared.

    The others ended. SUPERSEDED: a newer one came while it waited. HALTED: the champion that it was compared with is no
    longer the champion. ABORTED: whoever moved it met an error or died.
    """

    QUEUED = "queued"
    LIVE = "live"
    WATCHING = "watching"
    PROMOTED = "promoted"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    HALTED = "halted"
    ABORTED = "aborted"

    @property
    def is_under_way(self) -> bool:
        """Tell whether turns are taken: of a model's releases at most one is."""
        return self in (ReleaseStatus.LIVE, ReleaseStatus.WATCHING)


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person said of a release. evidence: the digest of what they were shown."""

    is_approved: bool
    by: str
    at: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Release:
    """One trial of one version. champion_before: who answered at its start; replaced: who did at its promotion.

    step: which step of its plan it stands in, from 0. step_since: since when; empty at its start, and once it is
    watching the time of its promotion. changed_at: when the weight or the salt changed. lease_until: when a release
    whose next turn did not come is given up. evidence: what the last turn saw, as `StoredEvidence`
    writes it. asked: the digest of the evidence on
    which a person was last asked. unblocked_by: who allowed it though the same model was rolled back before.
    executions: how many workflow executions took its turns, one after the other. started_by: who started it by hand.
    """

    id: str
    model: str
    version: int
    strategy: str
    status: ReleaseStatus
    champion_before: int | None
    started_at: str
    ended_at: str | None = None
    reason: str = ""
    replaced: int | None = None
    step: int = 0
    step_since: str = ""
    changed_at: tuple[str, ...] = ()
    approval: Approval | None = None
    turns: int = 0
    lease_until: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    asked: str = ""
    unblocked_by: str = ""
    executions: int = 1
    started_by: str = ""

    @property
    def attempt(self) -> int:
        """Which release of its version this is, from 1. Ids do not sort so: 10 stands before 9 in them."""
        return int(self.id.rpartition("-")[2])

    def has_lapsed(self, now: datetime) -> bool:
        """Tell whether it was given a lease that ran out."""
        return bool(self.lease_until) and datetime.fromisoformat(self.lease_until) < now

    @property
    def shown(self) -> str:
        """The digest of the evidence that it shows now; empty where it has none."""
        return str(self.evidence.get("digest", ""))

    @property
    def is_asking(self) -> bool:
        """Tell whether it waits for a person to answer on the evidence that it shows."""
        is_answered = self.approval is not None and self.approval.evidence == self.asked
        return bool(self.asked) and self.asked == self.shown and not is_answered

    @property
    def execution(self) -> str:
        """The name of its workflow execution."""
        return f"{self.model}-{self.id}" + (f"-{self.executions}" if self.executions > 1 else "")

    @property
    def trial(self) -> str:
        """What captures name as release while entities are split: in a shadow they name the release itself.

        Each drawing of lots has a name of its own, so that an entity's first request in each is counted.
        """
        return f"{self.id}-trial"

    @property
    def watch(self) -> str:
        """What captures name as release while a tenth stays with the previous champion."""
        return f"{self.id}-watch"

    @property
    def task(self) -> dict[str, Any]:
        """What that execution is told."""
        return {"model": self.model, "release": self.id, "execution": self.executions, "turns": 0}


@dataclass(frozen=True, slots=True)
class Releasing:
    """Which release of a model is under way, and which one waits for its end. Both by id."""

    live: str | None = None
    queued: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened to a model: who did what, why, and on what evidence. Only ever appended.

    id: sorts by when it is written. What is written later must not stand before what was there.
    """

    id: str
    model: str
    at: str
    actor: str
    move: str
    reason: str
    version: int | None = None
    release: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
