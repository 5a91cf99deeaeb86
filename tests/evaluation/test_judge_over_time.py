"""Whatever happens to a model over time, versions are judged fairly, and a good one takes the seat in the end.

Walks are taken at random, and each is forked into many sequences that end differently: with a training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import sqrt
from random import Random

import numpy as np
import pytest

from serin.data.storage import load_table
from serin.registry.records import DatasetState, ModelVersion, ReleaseStatus, VersionStatus
from serin.release.rollback import rollback
from tests.evaluation.lifetime import MODEL, POPULATION, FakeModel, Lifetime, Numbers

PARTS, WALKS, ENDS = 4, 12, 42
WITH_A_GOOD_ONE = 21  # one in so many sequences goes on until a good version answers
MARGIN = 0.02
RELEASABLE = (VersionStatus.PASSED, VersionStatus.HELD)


class Walk:
    """A life in which anything happens. counted: what happened, and how often."""

    def __init__(self, life: Lifetime, seed: int, happened: Sequence[str] = ()) -> None:
        self.life, self.draw, self.counted, self.happened = life, Random(seed), life.counted, [*happened]

    def fork(self, seed: int) -> Walk:
        return Walk(self.life.fork(), seed, [*self.happened, "--"])

    def happens(self, what: Sequence[Callable[[Walk], object]]) -> None:
        act = self.draw.choice(what)
        self.happened.append(act.__name__)
        self.counted[act.__name__] += 1
        act(self)

    # -- what happens -----------------------------------------------------------------------------

    def sends_new_rows(self) -> None:
        self.life.upload(self.some_new())

    def sends_rows_that_lack_a_column(self) -> None:
        contract = self.life.contract
        read = {*contract.features, contract.entity, contract.time}
        unused = [name for name in ("kind", "weight", "who", "at") if name not in read]
        self.life.upload(self.some_new(), without=self.draw.sample(unused, min(len(unused), 1)))

    def sends_rows_again(self) -> None:
        self.life.upload(self.shuffled(self.earlier()))

    def sends_a_part_again(self) -> None:
        earlier = self.shuffled(self.earlier())
        self.life.upload(np.concatenate([earlier[: len(earlier) // 2], self.life.fresh(40)]))

    def sends_rows_twice(self) -> None:
        self.life.upload(np.repeat(self.life.fresh(40), 2))

    def sends_a_file_appended_to_itself(self) -> None:
        self.life.upload(np.tile(self.earlier(), 2))

    def some_new(self) -> Numbers:
        return self.life.fresh(self.draw.randint(60, 90))

    def earlier(self) -> Numbers:
        return self.draw.choice(self.life.sent)

    def shuffled(self, numbers: Numbers) -> Numbers:
        return np.array(self.draw.sample(numbers.tolist(), len(numbers)))

    def edits_the_seed(self) -> None:
        self.life.edit(training={"seed": self.draw.randint(1, 1000)})

    def edits_the_holdout(self) -> None:
        self.life.edit(training={"holdout": self.draw.choice([0.2, 0.3, 0.4, 0.5])})

    def edits_the_entity(self) -> None:
        self.life.edit(entity=None if self.life.contract.entity else "who")

    def edits_the_time(self) -> None:
        self.life.edit(time=None if self.life.contract.time else "at")

    def edits_the_classes(self) -> None:
        self.life.edit(classes=None if self.life.contract.classes else self.draw.choice([["a", "b"], ["a", "b", "c"]]))

    def edits_the_coverage(self) -> None:
        is_on = self.life.contract.serving.uncertainty != "none"
        self.life.edit(serving=None if is_on else {"uncertainty": "conformal", "coverage": 0.5})

    def edits_how_uploads_add_up(self) -> None:
        self.life.edit(data={"uploads": self.draw.choice(["append", "replace"])})

    def edits_the_watch(self) -> None:
        self.life.edit(release=None if self.life.contract.release.watch else {"watch": "20m"})

    def edits_a_feature_out_or_in(self) -> None:
        name = self.draw.choice(["kind", "weight"])
        self.life.edit_feature(name, is_in=name not in self.life.contract.features)

    def edits_the_type_of_a_feature(self) -> None:
        self.life.edit_feature("weight", is_in=True, type=self.draw.choice(["number", "category"]))

    def edits_the_target(self) -> None:
        if self.draw.random() < 0.3:
            self.life.edit(target="other" if self.life.contract.target == "t" else "t")

    def excludes_a_dataset(self) -> None:
        self.decides("exclude", DatasetState.ACCEPTED)

    def includes_a_dataset(self) -> None:
        self.decides("include", DatasetState.EXCLUDED)

    def decides(self, move: str, state: DatasetState) -> None:
        found = [each.id for each in self.life.datasets if each.state is state]
        if found:
            getattr(self.life.curator, move)(MODEL, self.draw.choice(found), "a person said so")

    def rolls_back(self) -> None:
        route = self.life.registry.route(MODEL)
        if route is not None and route.value.champion.replaced is not None:
            rollback(self.life.by_hand, MODEL, "a person said so", version=route.value.champion.version)
            self.life.turn()

    def releases_by_hand(self) -> None:
        found = [each.number for each in self.life.registry.versions(MODEL) if each.status in RELEASABLE]
        if found and self.draw.random() < 0.5:
            self.life.release(self.draw.choice(found))

    def waits(self) -> None:
        self.life.wait()

    def trains(self, *, by: str = "upload") -> ModelVersion | None:
        quality = self.life.quality + self.draw.choice([-0.3, -0.2, -0.1, -0.02, 0.0, 0.02, 0.1, 0.2])
        meanwhile = self.rolls_back if self.draw.random() < 0.1 else lambda: None
        return self.looked_at(self.life.train(min(max(quality, 0.4), 0.9), by=by, meanwhile=meanwhile))

    # -- what must hold ---------------------------------------------------------------------------

    def looked_at(self, version: ModelVersion | None) -> ModelVersion | None:
        if version is not None:
            trial = self.life.learner.trained
            assert trial is not None
            for rival, numbers, how in self.life.learner.comparisons:
                self.was_fair(trial, rival, numbers, how)
        for release in self.life.registry.releases(MODEL):
            is_promoted = release.status in (ReleaseStatus.PROMOTED, ReleaseStatus.WATCHING)
            if is_promoted and release.replaced is not None and not release.started_by:
                assert self.life.judged_beside[release.version] == release.replaced, "promoted beside another champion"
        return version

    def was_fair(self, trial: FakeModel, rival: FakeModel, numbers: Numbers, how: str) -> None:
        """No model was asked about a row that it, or the new version, learned from; nor of an entity."""
        self.counted[f"comparisons: {how}"] += 1
        self.counted[f"rows: {how}"] += len(numbers)
        is_by_entity = all(model.entity is not None and model.time is None for model in (rival, trial))
        self.counted[f"by entity: {how}"] += is_by_entity
        for model in (rival, trial):
            assert not np.isin(numbers, model.learned).any(), f"{how} on rows that were learned from"
            if is_by_entity:
                known = {*POPULATION.who[model.learned]} - {None}
                assert not known & {*POPULATION.who[numbers]}, f"{how} of entities that were learned from"

    def ends_with_a_good_one(self) -> None:
        """A version that is nearly always right takes the seat soon; a person must help only where targets differ."""
        for tries in range(1, 5):
            self.life.wait()
            champion = self.life.champion
            is_comparable = champion is None or self.life.model_of(champion).target == self.life.contract.target
            self.life.upload(self.life.fresh(120))
            version = self.looked_at(self.life.train(0.99))
            if version is None:
                continue
            assert (version.status is VersionStatus.HELD) == (not is_comparable), version.gates
            if version.status is VersionStatus.HELD:
                self.counted["good ones held"] += 1
                assert self.life.champion == champion
                self.life.release(version.number)
            if self.life.champion == version.number:
                self.counted["good ones"] += 1
                self.counted["good ones at once"] += tries == 1
                return
        raise AssertionError("no good version took the seat")


SENDS = (
    *[Walk.sends_new_rows] * 2,
    Walk.sends_rows_that_lack_a_column,
    *[Walk.sends_rows_again] * 2,
    Walk.sends_a_part_again,
    Walk.sends_rows_twice,
    Walk.sends_a_file_appended_to_itself,
)
EDITS = (
    Walk.edits_the_seed,
    Walk.edits_the_holdout,
    Walk.edits_the_entity,
    Walk.edits_the_time,
    Walk.edits_the_classes,
    Walk.edits_the_coverage,
    Walk.edits_how_uploads_add_up,
    Walk.edits_the_watch,
    *[Walk.edits_a_feature_out_or_in] * 3,
    Walk.edits_the_type_of_a_feature,
    Walk.edits_the_target,
)
DECISIONS = (
    Walk.excludes_a_dataset,
    Walk.includes_a_dataset,
    Walk.rolls_back,
    Walk.releases_by_hand,
    Walk.waits,
)


@pytest.fixture(autouse=True)
def _read_stored_tables_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings over and over read the same few tables, which takes a good part of the time."""
    monkeypatch.setattr("serin.data.datasets.load_table", lru_cache(64)(load_table))


def take_a_walk(seed: int, counted: Counter[str]) -> None:
    """Walk, and fork into many sequences that end in a training."""
    begins = ({}, {"entity": "who"}, {"entity": "who"}, {"time": "at"}, {"entity": "who", "time": "at"})
    walk = Walk(Lifetime(counted, **begins[seed % len(begins)]), seed)
    walk.sends_new_rows()
    walk.trains()
    for _ in range(walk.draw.randint(1, 3)):
        walk.happens(SENDS)
        walk.happens(EDITS + DECISIONS)
        walk.trains()
    for end in range(ENDS):
        last = walk.fork(seed * ENDS + end)
        try:
            for _ in range(last.draw.randint(1, 3)):
                last.happens(EDITS + DECISIONS)
            last.trains(by="hand")
            if end % WITH_A_GOOD_ONE == 0:
                last.ends_with_a_good_one()
        except BaseException as error:
            error.add_note(f"seed {seed}: after {', '.join(last.happened)}")
            raise
        counted["sequences"] += 1


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_versions_are_judged_fairly_and_a_good_one_answers_in_the_end(part: int) -> None:
    counted: Counter[str] = Counter()
    for seed in range(part * WALKS, (part + 1) * WALKS):
        take_a_walk(seed, counted)
    assert counted["sequences"] == WALKS * ENDS
    counted["sends"] = sum(counted[act.__name__] for act in SENDS)
    least = {act.__name__: 20 for act in EDITS + DECISIONS} | {"sends": WALKS}
    least |= {"comparisons: asked": 200, "comparisons: fitted again": 150, "comparisons: itself": 400}
    least |= {"rows: asked": 5000, "rows: fitted again": 5000, "rows: itself": 15_000}
    least |= {"by entity: asked": 15, "by entity: fitted again": 5, "by entity: itself": 50}
    least |= {"good ones": WALKS * ENDS // WITH_A_GOOD_ONE, "good ones at once": 20}
    assert {name: (counted[name], count) for name, count in least.items() if counted[name] < count} == {}


def truly_worse(rivals: Sequence[tuple[float, int]]) -> float:
    """How good a version is that is worse than each by the margin and three standard errors.

    rivals: how good each is, and on how many rows it is compared.
    """
    for quality in np.arange(0.95, 0.0, -0.001):
        if all(
            other - quality >= MARGIN + 3 * sqrt((quality * (1 - quality) + other * (1 - other)) / rows)
            for other, rows in rivals
        ):
            return float(quality)
    raise AssertionError("there is none")


def a_life(seed: int, *, rows: int) -> Lifetime:
    """A life whose champion is as good as its anchor, and not the same."""
    life = Lifetime(training={"metric": "accuracy", "holdout": 0.4, "retrain": {"min_new_rows": 30}})
    life.seen = seed * 1000
    life.upload(life.fresh(rows))
    life.train(0.8)
    for number in range(20):
        life.edit(training={"seed": 1 + number})
        version = life.train(0.8, by="hand")
        assert version is not None
        if life.champion == version.number and not version.gain:
            return life
    raise AssertionError("no second version took the seat")


def test_a_version_that_is_truly_worse_is_not_promoted() -> None:
    trials = promoted = 0
    for seed in range(16):
        life = a_life(seed, rows=[150, 300][seed % 2])
        life.edit(training={"seed": 1000})
        life.train(0.0, by="hand")
        rivals = [(model.quality, len(rows)) for model, rows, how in life.learner.comparisons if how == "asked"]
        assert len(rivals) == 2
        quality = truly_worse(rivals)
        for number in range(20):
            trial = life.fork()
            trial.edit(training={"seed": 2000 + number})
            version = trial.train(quality, by="hand")
            assert version is not None
            trials += 1
            promoted += trial.champion == version.number
    assert trials == 320
    assert promoted <= 3


def test_versions_cannot_get_worse_bit_by_bit() -> None:
    """Each version is worse by the margin than the champion, and is judged by rows that are all new."""
    lowest, promoted = 1.0, 0
    for seed in range(5):
        life = Lifetime(
            training={"metric": "accuracy", "holdout": 0.5}, data={"max_bad_rows": 0.2, "uploads": "replace"}
        )
        life.seen = seed * 20_000
        for quality in (0.8, *[None] * 25):
            life.upload(life.fresh(400))
            version = life.train(quality or life.quality - MARGIN, by="hand")
            assert version is not None
            promoted += life.champion == version.number
        lowest = min(lowest, life.quality)
    assert promoted >= 10
    assert lowest >= 0.8 - MARGIN - 3 * sqrt(2 * 0.8 * 0.2 / 200)


def test_what_predicts_something_else_waits_for_a_person() -> None:
    for seed in range(5):
        life = a_life(seed, rows=150)
        champion = life.champion
        life.edit(target="other")
        version = life.train(0.99, by="hand")
        assert version is not None
        assert (version.status, life.champion) == (VersionStatus.HELD, champion)
        life.release(version.number)
        assert life.champion == version.number
        life.upload(life.fresh(100))
        after = life.train(0.99)
        assert after is not None
        assert after.status is not VersionStatus.HELD


def test_a_version_is_released_by_itself_only_beside_the_champion_that_it_was_compared_with() -> None:
    life = a_life(0, rows=150)
    before = life.champion
    life.edit(release={"watch": "20m"})
    watched = life.train(0.9, by="hand")
    life.upload(life.fresh(100))
    waiting = life.train(0.97)
    assert watched is not None
    assert waiting is not None
    assert (life.champion, waiting.compared_with) == (watched.number, watched.number)
    rollback(life.by_hand, MODEL, "a person said so", version=watched.number)
    life.turn()
    release = life.registry.releases_of(MODEL, waiting.number)[-1]
    assert (life.champion, release.status) == (before, ReleaseStatus.REFUSED)
    assert "was not compared with the champion" in release.reason

    again = life.train(0.9, by="hand")  # on the very same rows, beside the champion of now
    assert again is not None
    assert (again.compared_with, again.datasets) == (before, waiting.datasets)
    life.wait()
    assert life.champion == again.number
    assert life.train(0.9, by="hand") is None

    life.edit(release=None)
    life.release(waiting.number)  # what a person wants is released as it is
    assert life.registry.releases_of(MODEL, waiting.number)[-1].started_by == "ann"


def test_where_the_champion_is_another_one_when_a_version_is_judged_it_is_trained_again() -> None:
    life = a_life(0, rows=150)
    life.upload(life.fresh(100))
    held = life.train(0.9, meanwhile=lambda: rollback(life.by_hand, MODEL, "a person said so"))
    assert held is not None
    assert (held.status, life.champion) == (VersionStatus.HELD, 1)
    again = life.train(0.9, by="hand")
    assert again is not None
    assert (again.datasets, life.champion) == (held.datasets, again.number)


def test_where_the_last_upload_is_excluded_what_was_learned_before_it_is_learned_again() -> None:
    life = Lifetime()
    life.upload(life.fresh(150))
    first = life.train(0.8)
    life.upload(life.fresh(150))
    tainted = life.train(0.9)
    assert first is not None
    assert tainted is not None
    assert life.champion == tainted.number
    life.curator.exclude(MODEL, tainted.datasets[-1], "its labels are mixed up")
    anew = life.train(0.9)
    assert anew is not None
    assert (anew.datasets, life.champion) == (first.datasets, anew.number)


@pytest.mark.parametrize("role", ["entity", "time"])
def test_a_champion_whose_entity_or_time_is_sent_no_more_is_fitted_again(role: str) -> None:
    column = {"entity": "who", "time": "at"}[role]
    life = Lifetime(data={"min_rows": 30, "max_bad_rows": 0.2, "uploads": "replace"}, **{role: column})
    life.upload(life.fresh(150))
    life.train(0.8)
    life.edit(**{role: None})
    life.upload(life.fresh(150), without=[column])
    version = life.train(0.9)
    assert version is not None
    assert [how for _, _, how in life.learner.comparisons] == ["fitted again", "itself"]
    assert life.champion == version.number
