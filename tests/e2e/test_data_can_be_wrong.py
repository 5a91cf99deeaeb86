"""What is wrong with data is found before it is learned from, and what was learned from it can be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from serin.data.accept_or_refuse import Upload
from serin.data.border import Border
from serin.errors import Refused
from serin.registry.curate import Curator, learned_from
from serin.registry.ids import ulid
from serin.registry.lineage import explain_version
from serin.registry.records import DatasetState, Receipt, ReceiptStatus, ReleaseStatus, VersionStatus
from serin.registry.requests import TrainingRequest, Trigger
from tests.e2e.test_journey_on_fakes import House, as_csv
from tests.fakes import RESTLESS

CONTRACT: dict[str, Any] = {
    "model": "shop",
    "task": "classification",
    "target": "bought",
    "features": {"price": {"type": "number"}, "visits": {"type": "number"}, "channel": {"type": "category"}},
    "training": {"candidates": ["linear"], "folds": 2, "budget": "6 fits", "retrain": {"min_new_rows": 100}},
}


def customers(rows: int, seed: int = 0) -> pd.DataFrame:
    """A table in which price, visits and channel tell much of who bought."""
    random = np.random.default_rng(seed)
    price, visits = random.normal(size=rows).round(4), random.normal(size=rows).round(4)
    channel = random.choice(["web", "shop"], rows)
    bought = price + visits + (channel == "web") + random.normal(size=rows) > 0.5
    return pd.DataFrame(
        {
            "price": price,
            "visits": visits,
            "channel": channel,
            "customer": [f"c{seed}-{place // 2}" for place in range(rows)],
            "bought": np.where(bought, "yes", "no"),
        }
    )


def shuffled(table: pd.DataFrame, share: float = 1.0) -> pd.DataFrame:
    random = np.random.default_rng(1)
    some = random.permutation(len(table))[: int(share * len(table))]
    labels = table["bought"].to_numpy(copy=True)
    labels[some] = labels[random.permutation(some)]
    return table.assign(bought=labels)


def swapped(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(bought=table["bought"].map({"yes": "no", "no": "yes"}))


class Shop(House):
    """A house with one model, and a person who decides."""

    def __init__(self, folder: Path) -> None:
        (folder / "shop").mkdir()
        self.file = folder / "shop" / "model.yaml"
        super().__init__(folder)
        numbers = iter(range(1_000_000, 2_000_000))
        self.curator = Curator(
            registry=self.registry,
            data=self.data,
            training_requests=self.requests,
            new_id=lambda now: ulid(now, next(numbers).to_bytes(10, "big")),
            now=self.clock,
            patience=RESTLESS,
            actor="anna",
        )
        self.write()

    def write(self, **changes: Any) -> None:
        """Edit the contract. A feature that is None is taken out."""
        features = {**CONTRACT["features"], **changes.pop("features", {})}
        kept = {name: said for name, said in features.items() if said is not None}
        self.file.write_text(yaml.safe_dump({**CONTRACT, **changes, "features": kept}))

    def send(self, name: str, table: pd.DataFrame) -> Receipt:
        return self.upload(f"uploads/shop/{name}.csv", as_csv(table))

    def train(self, *, by: str = "upload") -> Mapping[str, Any] | None:
        """Do what follows, and give the evaluation of the version that came of it; None where none was trained."""
        before = len(self.registry.versions("shop"))
        if by == "hand":
            self.starter.consider(TrainingRequest("shop", Trigger.HAND, f"request {before} {self.clock()}"))
        self.run_what_is_asked("shop")
        versions = self.registry.versions("shop")
        if len(versions) == before:
            return None
        return {gate["gate"]: gate for gate in versions[-1].gates} | {"version": versions[-1]}

    @property
    def champion(self) -> int | None:
        route = self.registry.route("shop")
        return route.value.champion.version if route else None


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def open_shop(shop: Shop) -> Shop:
    """One with a champion that learned from 800 rows."""
    assert shop.send("first", customers(800)).status is ReceiptStatus.ACCEPTED
    assert shop.train()
    assert shop.champion == 1
    return shop


# --- held ---


@pytest.mark.parametrize(("wrong", "code"), [(shuffled, "NOISE"), (swapped, "OPPOSITE")], ids=["shuffled", "swapped"])
def test_labels_that_cannot_be_right_are_held_and_not_learned_from(open_shop: Shop, wrong: Any, code: str) -> None:
    receipt = open_shop.send("wrong", wrong(customers(600, 1)))
    assert (receipt.status, receipt.reasons[0]["code"]) == (ReceiptStatus.HELD, code)
    assert open_shop.train() is None
    assert open_shop.notifier.told[-1][0] == "shop: an upload is held"
    assert "serin accept shop wrong.csv" in open_shop.notifier.told[-1][1]


def test_labels_are_doubted_also_after_the_contract_reads_another_column(open_shop: Shop) -> None:
    open_shop.write(features={"loyal": {"type": "number", "missing": "allow"}})
    receipt = open_shop.send("wrong", shuffled(customers(600, 1)).assign(loyal=1.0))
    assert receipt.status is ReceiptStatus.HELD


def test_good_rows_after_good_ones_are_not_held(open_shop: Shop) -> None:
    for seed in range(1, 6):
        assert open_shop.send(f"good{seed}", customers(400, seed)).status is ReceiptStatus.ACCEPTED


def test_what_drifts_and_can_be_learned_is_trained_on(open_shop: Shop) -> None:
    """The champion falls on it, for another column decides now; its own rows tell that."""
    table = customers(800, 1)
    bought = 2 * table["visits"] - 0.5 * table["price"] > 0
    receipt = open_shop.send("drifted", table.assign(bought=np.where(bought, "yes", "no")))
    assert receipt.status is ReceiptStatus.ACCEPTED


def test_an_accepted_upload_is_trained_on_and_a_refused_one_never(open_shop: Shop) -> None:
    held = [open_shop.send(name, shuffled(customers(600, seed))) for name, seed in (("a", 1), ("b", 2))]
    accepted, refused = (str(receipt.dataset) for receipt in held)
    open_shop.curator.accept("shop", accepted, "they are right")
    open_shop.curator.refuse("shop", refused, "they are not")
    assert open_shop.registry.history("shop")[-1].actor == "anna"
    judged = open_shop.train()
    assert judged
    assert accepted in judged["version"].datasets
    assert refused not in judged["version"].datasets
    with pytest.raises(Refused, match="is refused; only one that is held can be accepted"):
        open_shop.curator.accept("shop", refused, "")
    again = open_shop.send("c", shuffled(customers(600, 2)))
    assert (again.status, again.notes[-1]["code"]) == (ReceiptStatus.DUPLICATE, "KNOWN")


def test_labels_in_another_spelling_are_held_and_refused_where_classes_are_named(open_shop: Shop) -> None:
    table = customers(400, 1).replace({"bought": {"yes": "Yes "}}).assign(bought=lambda rows: rows["bought"] + ".")
    receipt = open_shop.send("spelled", table)
    assert (receipt.status, receipt.reasons[0]["code"]) == (ReceiptStatus.HELD, "NEW_CLASS")
    open_shop.write(classes=["no", "yes"])
    assert open_shop.send("spelled2", table).status is ReceiptStatus.QUARANTINED


def test_labels_that_were_learned_by_mistake_are_left_out_once_classes_are_named(shop: Shop) -> None:
    table = customers(800)
    table.loc[:5, "bought"] = "perhaps"
    shop.send("first", table)
    judged = shop.train()
    assert judged
    assert b"perhaps" in shop.artifacts.get(judged["version"].prefix + "spec.json")
    shop.write(classes=["no", "yes"])
    judged = shop.train(by="hand")
    assert judged
    assert b"perhaps" not in shop.artifacts.get(judged["version"].prefix + "spec.json")


def test_rows_that_were_there_already_are_counted_and_held(open_shop: Shop) -> None:
    known = customers(800)
    again = open_shop.send("twice", pd.concat([known, known], ignore_index=True))
    assert (again.status, again.reasons[0]["code"]) == (ReceiptStatus.HELD, "REPEATS")
    assert again.new_rows == 0
    some = open_shop.send("some", pd.concat([known[:60], customers(300, 1)], ignore_index=True))
    assert (some.status, some.new_rows) == (ReceiptStatus.ACCEPTED, 300)


def test_rows_that_are_alike_by_nature_are_neither_counted_nor_held(shop: Shop) -> None:
    shop.write(features={"price": None, "visits": None})
    for seed in range(3):
        receipt = shop.send(f"u{seed}", customers(500, seed))
        assert (receipt.status, receipt.new_rows) == (ReceiptStatus.ACCEPTED, 500)


# --- taken back ---


def test_an_upload_can_be_taken_back(open_shop: Shop) -> None:
    second = str(open_shop.send("second", customers(400, 1)).dataset)
    assert open_shop.train()
    with pytest.raises(Refused, match="say why"):
        open_shop.curator.exclude("shop", second, " ")
    open_shop.curator.exclude("shop", second, "the till was broken")
    versions = open_shop.registry.versions("shop")
    assert learned_from(versions, second) == [2]
    upload = explain_version(open_shop.registry, open_shop.data, "shop", 2)["uploads"][1]
    assert (upload["state"], upload["state_by"], upload["state_reason"]) == ("excluded", "anna", "the till was broken")
    third = str(open_shop.send("third", customers(300, 2)).dataset)
    judged = open_shop.train()
    assert judged
    first = open_shop.registry.datasets("shop")[0].id
    assert set(judged["version"].datasets) == set(judged["version"].holdout) == {first, third}


def test_taking_back_what_was_learned_from_trains_without_it(open_shop: Shop) -> None:
    second = str(open_shop.send("second", customers(400, 1)).dataset)
    open_shop.send("third", customers(400, 2))
    assert open_shop.train()
    open_shop.curator.exclude("shop", second, "wrong")
    judged = open_shop.train(by="data")
    assert judged
    assert second not in judged["version"].datasets
    open_shop.curator.include("shop", second, "it was right after all")
    assert open_shop.registry.dataset("shop", second).state is DatasetState.ACCEPTED  # type: ignore[union-attr]


def test_what_is_excluded_while_it_is_learned_from_becomes_no_version(open_shop: Shop) -> None:
    second = str(open_shop.send("second", customers(400, 1)).dataset)
    run = open_shop.starter.consider(TrainingRequest("shop", Trigger.UPLOAD)).running
    assert run
    open_shop.curator.exclude("shop", second, "wrong")
    with pytest.raises(Refused, match="was excluded while it was learned from"):
        open_shop.trainer.train("shop", run)


def test_what_learned_from_an_excluded_dataset_is_not_released_by_itself(open_shop: Shop) -> None:
    second = str(open_shop.send("second", customers(800, 1)).dataset)
    run = open_shop.starter.consider(TrainingRequest("shop", Trigger.UPLOAD)).running
    assert run
    open_shop.trainer.train("shop", run)
    assert open_shop.evaluator.evaluate("shop", run)
    open_shop.curator.exclude("shop", second, "wrong")
    version = open_shop.registrar.register("shop", run)
    release = open_shop.releaser.starter.start("shop", version.number)
    assert release.status is ReleaseStatus.REFUSED
    assert "learned from data that was excluded since" in release.reason
    by_hand = open_shop.releaser.starter.start_by_hand("shop", version.number)
    assert by_hand.status is ReleaseStatus.LIVE


def test_after_an_exclusion_a_training_without_it_is_not_the_one_of_before(open_shop: Shop) -> None:
    """What is left was trained on before; the version that this made is not beside the champion of now."""
    second = str(open_shop.send("second", customers(800, 1)).dataset)
    assert open_shop.train()
    open_shop.curator.exclude("shop", second, "wrong")
    judged = open_shop.train(by="data")
    assert judged
    assert second not in judged["version"].datasets


def test_of_tables_that_replace_each_other_the_last_written_counts(shop: Shop) -> None:
    shop.write(data={"uploads": "replace"})
    one, two = customers(500), customers(600, 1)
    first = str(shop.send("table", one).dataset)
    assert shop.train()
    second = str(shop.send("table", two).dataset)
    judged = shop.train()
    assert judged
    assert judged["version"].datasets == (second,)
    back = shop.send("table", one)
    assert (back.status, back.notes[-1]["code"]) == (ReceiptStatus.DUPLICATE, "CURRENT")
    judged = shop.train()
    assert judged
    assert judged["version"].datasets == (first,)


def test_the_event_of_an_older_table_does_not_make_it_the_current_one(shop: Shop) -> None:
    shop.write(data={"uploads": "replace"})
    older, newer = (
        Upload("uploads/shop/table.csv", shop.data.put("uploads/shop/table.csv", as_csv(table)))
        for table in (customers(500), customers(600, 1))
    )
    second = str(shop.intake.receive(newer).dataset)
    shop.intake.receive(older)
    judged = shop.train()
    assert judged
    assert judged["version"].datasets == (second,)


# --- edits of the contract ---

EDITS: dict[str, dict[str, Any]] = {
    "seed": {"training": {**CONTRACT["training"], "seed": 9}},
    "entity": {"entity": "customer"},
    "holdout 40%": {"training": {**CONTRACT["training"], "holdout": "40%"}},
    "holdout 10%": {"training": {**CONTRACT["training"], "holdout": "10%"}},
    "feature out": {"features": {"visits": None}},
    "classes": {"classes": ["no", "yes"]},
    "nothing": {},
}


@pytest.mark.parametrize("edit", EDITS)
def test_after_an_edit_versions_are_compared_on_rows_that_neither_learned_from(open_shop: Shop, edit: str) -> None:
    open_shop.write(**EDITS[edit])
    open_shop.send("second", customers(800, 1))
    judged = open_shop.train()
    assert judged
    beside = judged["at most 1% worse than champion"]
    assert judged["version"].status is not VersionStatus.HELD
    assert beside["value"] is not None
    assert beside["n"] >= 80
    assert ("fitted again" in beside["message"]) is (edit == "entity")


def test_a_bad_model_does_not_replace_a_good_one_by_a_removed_feature(open_shop: Shop) -> None:
    open_shop.write(features={"visits": None, "price": None})
    open_shop.send("second", customers(800, 1))
    judged = open_shop.train()
    assert judged
    assert judged["version"].status is VersionStatus.REJECTED
    assert judged["at most 1% worse than champion"]["value"] < -0.05
    assert open_shop.champion == 1


def test_a_better_version_gets_the_seat_after_any_edit(open_shop: Shop) -> None:
    """The champion learned without the column that tells most; adding it must win, though old rows lack it."""
    open_shop.write(features={"loyal": {"type": "number", "missing": "allow"}})
    table = customers(1500, 1)
    loyal = np.where(table["bought"] == "yes", 1.0, -1.0) + np.random.default_rng(0).normal(size=1500)
    open_shop.send("second", table.assign(loyal=loyal))
    judged = open_shop.train()
    assert judged
    assert judged["version"].gain
    assert open_shop.champion == 2


def test_a_category_that_old_rows_do_not_have_stops_no_training(open_shop: Shop) -> None:
    open_shop.write(features={"region": {"type": "category", "missing": "allow"}})
    open_shop.send("second", customers(400, 1).assign(region="north"))
    judged = open_shop.train()
    assert judged
    assert len(judged["version"].datasets) == 2


def test_a_column_that_no_contract_read_can_be_read_later(open_shop: Shop) -> None:
    open_shop.write(entity="customer")
    judged = open_shop.train(by="hand")
    assert judged
    border = Border.from_json(open_shop.artifacts.get(judged["version"].prefix + "border.json"))
    assert border.entity == "customer"


def test_the_same_model_is_not_released_again(open_shop: Shop) -> None:
    open_shop.write(gates=["beats baseline by 0"])
    judged = open_shop.train(by="hand")
    assert judged
    assert judged["version"].status is VersionStatus.REJECTED
    assert "the same model, byte by byte, as version 1" in judged["differs from the champion"]["message"]


def test_another_target_cannot_be_compared_and_waits_for_a_person(open_shop: Shop) -> None:
    open_shop.write(target="channel", features={"channel": None})
    open_shop.send("second", customers(600, 1).assign(channel=lambda rows: np.where(rows["price"] > 0, "web", "shop")))
    judged = open_shop.train()
    assert judged
    assert judged["version"].status is VersionStatus.HELD
    assert open_shop.champion == 1
    assert open_shop.notifier.told[-1][0] == "shop@2 waits for you"
    release = open_shop.releaser.starter.start_by_hand("shop", 2)
    open_shop.releaser.turn("shop", release.id)
    assert open_shop.champion == 2
