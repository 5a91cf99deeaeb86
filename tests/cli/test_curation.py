"""What a person decides about data is told with what follows from it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from serin.cli.curation import tell_datasets, tell_decision
from serin.cli.render import tell_receipt
from serin.cli.show import Output
from serin.client.datasets import Datasets, Place
from serin.errors import NotFound, Refused
from serin.registry.curate import find_dataset
from tests.e2e.test_data_can_be_wrong import Shop, customers, shuffled


def datasets(shop: Shop) -> Datasets:
    cloud = SimpleNamespace(registry=shop.registry, data=shop.data, training_requests=shop.requests)
    return Datasets(cast(Place, SimpleNamespace(cloud=cloud, caller="arn:aws:iam::1:user/anna")), "shop")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """One with two versions, the second of which learned from more.csv, and an upload that is held."""
    shop = Shop(tmp_path)
    shop.send("first", customers(800))
    shop.train()
    shop.send("more", customers(800, 1))
    shop.train()
    assert shop.champion == 2
    shop.send("odd", shuffled(customers(600, 2)))
    return shop


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_taking_an_upload_back_offers_the_way_back_in_the_same_breath(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    decision = datasets(shop).exclude("more.csv", "the till was broken")
    document = tell_decision(Output(), decision)
    text = said(capsys)
    assert "learned from it: shop@2" in text
    assert "shop@2 answers, and learned from it back to shop@1, which did not:" in text
    assert f'serin rollback shop --reason "{decision.dataset.id} was wrong"' in text
    assert (document["versions"], document["champion"], document["before"]) == ([2], 2, [1])
    assert shop.requests.messages[-1] == {"model": "shop", "by": "data"}


def test_held_uploads_are_listed_with_how_to_decide(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    tell_datasets(Output(), datasets(shop))
    text = said(capsys)
    assert "odd.csv is held: nothing is learned from it before you decide" in text
    assert "serin accept shop odd.csv" in text
    assert "serin refuse shop odd.csv" in text


def test_the_receipt_of_a_held_upload_says_why_and_how_to_decide(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_receipt(Output(), shop.send("odd2", shuffled(customers(600, 3))))
    text = said(capsys)
    assert "status held" in text
    assert "cannot be learned from its features as before" in text
    assert "serin accept shop odd2.csv" in text


@pytest.mark.parametrize(("which", "error"), [("nothing.csv", NotFound), ("", Refused)])
def test_what_names_no_dataset_or_many_is_refused(shop: Shop, which: str, error: Any) -> None:
    with pytest.raises(error):
        find_dataset(shop.registry.datasets("shop"), "shop", which)
