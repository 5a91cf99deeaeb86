"""What does a person decide about data, and what follows? Held uploads, and those that are taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serin.aws.cloud import PATIENCE, new_ulid, utc_now
from serin.cli.reach import EnvironmentClient
from serin.cli.show import Output, moment, name_some, short
from serin.registry.curate import Curator, learned_from, taint
from serin.registry.keys import uploaded_file
from serin.registry.records import Dataset, DatasetState, VersionStatus
from serin.training.start import trained_on


def curator(there: EnvironmentClient) -> Curator:
    """Make the one who decides in the caller's name."""
    cloud = there.cloud
    return Curator(
        registry=cloud.registry,
        data=cloud.data,
        training_requests=cloud.training_requests,
        new_id=new_ulid,
        now=utc_now,
        patience=PATIENCE,
        actor=there.caller,
    )


def tell_datasets(output: Output, there: EnvironmentClient, model: str) -> list[Dataset]:
    """List all datasets of a model, and what waits for a person."""
    registry = there.cloud.registry
    trained, found = trained_on(registry.runs(model)), registry.datasets(model)
    output.table(
        ("dataset", "rows", "new", "state", "learned", "came", "file"),
        [
            (
                short(item.id),
                item.rows,
                item.counted_rows,
                item.state,
                item.id in trained,
                moment(item.accepted_at)[:16],
                uploaded_file(model, item.key),
            )
            for item in found
        ],
    )
    for item in found:
        if not item.is_used:
            by = f" by {item.state_by.rpartition('/')[2]}" if item.state_by else ""
            output.say(f"{short(item.id)} is {item.state}{by}: {item.state_reason}", style="yellow")
    tell_held(output, model, found)
    return found


def tell_held(output: Output, model: str, found: Sequence[Dataset]) -> None:
    """Say which uploads wait for a person, and how to decide."""
    for item in found:
        if item.state is DatasetState.HELD:
            file = uploaded_file(model, item.key)
            output.say(f"{file} is held: nothing is learned from it before you decide", style="yellow")
            output.say(f"  why      serin receipt {model} {file}")
            output.say(f"  it is right   serin accept {model} {file}")
            output.say(f"  it is wrong   serin refuse {model} {file}")


def tell_decision(output: Output, there: EnvironmentClient, dataset: Dataset) -> dict[str, Any]:
    """Say what was decided on a dataset, which versions that touches, and how to go back to before it."""
    registry, model = there.cloud.registry, dataset.model
    output.say(f"dataset {dataset.id} ({dataset.key}) is {dataset.state}", style="bold")
    versions, datasets = registry.versions(model), registry.datasets(model)
    touched = learned_from(versions, dataset.id)
    route = registry.route(model)
    champion = route.value.champion.version if route else None
    if dataset.state is not DatasetState.EXCLUDED:
        output.say("what follows is decided now: serin versions " + model)
        return {"dataset": dataset.id, "state": dataset.state, "versions": touched}
    if touched:
        names = name_some([f"{model}@{number}" for number in touched])
        output.say(f"learned from it: {names}; serin why says so from now on", style="yellow")
    before = route.value.champion.replaced if route else None
    clean = [
        version.number
        for version in versions
        if version.served
        and version.number != champion
        and version.status is not VersionStatus.ROLLED_BACK
        and not taint(version, datasets)
    ]
    if champion in touched:
        output.say(f"{model}@{champion} answers, and learned from it")
        if before in clean:
            output.say(f"back to {model}@{before}, which did not:")
            output.say(f'  serin rollback {model} --reason "{dataset.id} was wrong"')
        elif clean:
            output.say(f"{model}@{clean[-1]} did not; to release that one:")
            output.say(f"  serin release {model}@{clean[-1]}")
        else:
            output.say("no other version that ever answered did not")
        output.say("a training without it is considered now; follow it: serin versions " + model)
    return {"dataset": dataset.id, "state": dataset.state, "versions": touched, "champion": champion, "before": clean}
