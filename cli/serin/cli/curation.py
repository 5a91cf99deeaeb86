"""How is it told what a person decides about data, and what follows? Held uploads, and those that are taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serin.cli.show import Output
from serin.client.datasets import Datasets, Decision
from serin.client.words import moment, name_some, short
from serin.registry.keys import uploaded_file
from serin.registry.records import Dataset, DatasetState


def tell_datasets(output: Output, datasets: Datasets) -> list[Dataset]:
    """List all datasets of a model, and what waits for a person."""
    learned, records, model = datasets.learned(), datasets.records(), datasets.model
    output.table(
        ("dataset", "rows", "new", "state", "learned", "came", "file"),
        [
            (
                short(dataset.id),
                dataset.rows,
                dataset.counted_rows,
                dataset.state,
                dataset.id in learned,
                moment(dataset.accepted_at)[:16],
                uploaded_file(model, dataset.key),
            )
            for dataset in records
        ],
    )
    for dataset in records:
        if not dataset.is_used:
            by = f" by {dataset.state_by.rpartition('/')[2]}" if dataset.state_by else ""
            output.say(f"{short(dataset.id)} is {dataset.state}{by}: {dataset.state_reason}", style="yellow")
    tell_held(output, model, records)
    return records


def tell_held(output: Output, model: str, datasets: Sequence[Dataset]) -> None:
    """Say which uploads wait for a person, and how to decide."""
    for dataset in datasets:
        if dataset.state is DatasetState.HELD:
            file = uploaded_file(model, dataset.key)
            output.say(f"{file} is held: nothing is learned from it before you decide", style="yellow")
            output.say(f"  why      serin receipt {model} {file}")
            output.say(f"  it is right   serin accept {model} {file}")
            output.say(f"  it is wrong   serin refuse {model} {file}")


def tell_decision(output: Output, decision: Decision) -> dict[str, Any]:
    """Say what was decided on a dataset, which versions that touches, and how to go back to before it."""
    dataset, model, touched = decision.dataset, decision.dataset.model, list(decision.versions)
    output.say(f"dataset {dataset.id} ({dataset.key}) is {dataset.state}", style="bold")
    document = {"dataset": dataset.id, "state": dataset.state, "versions": touched}
    if dataset.state is not DatasetState.EXCLUDED:
        output.say("what follows is decided now: serin versions " + model)
        return document
    if touched:
        names = name_some([f"{model}@{number}" for number in touched])
        output.say(f"learned from it: {names}; serin why says so from now on", style="yellow")
    if decision.champion in touched:
        output.say(f"{model}@{decision.champion} answers, and learned from it")
        if decision.back is not None:
            output.say(f"back to {model}@{decision.back}, which did not:")
            output.say(f'  serin rollback {model} --reason "{dataset.id} was wrong"')
        elif decision.clean:
            output.say(f"{model}@{decision.clean[-1]} did not; to release that one:")
            output.say(f"  serin release {model}@{decision.clean[-1]}")
        else:
            output.say("no other version that ever answered did not")
        output.say("a training without it is considered now; follow it: serin versions " + model)
    return document | {"champion": decision.champion, "before": list(decision.clean)}
