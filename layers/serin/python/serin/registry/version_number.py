"""Which number does a version get, and which one does a person mean? It is the model's next, and never used again."""

from __future__ import annotations

from dataclasses import replace

from serin.errors import NotFound, Refused
from serin.registry.records import Run
from serin.registry.registry import Registry, put, put_training


def number_run(registry: Registry, model: str, run_name: str) -> tuple[Run, int]:
    """Give a run its version's number: the next after all that were ever given. Doing it again gives the same one.

    It is kept on the run's row. Raises Conflict where another run is numbered at the same time.
    """
    run, state = registry.run(model, run_name), registry.training(model)
    if run.value.version is not None:
        return run.value, run.value.version
    number = state.value.last_version + 1
    numbered, counted = replace(run.value, version=number), replace(state.value, last_version=number)
    registry.save(
        put(numbered, expected_revision=run.revision),
        put_training(model, counted, expected_revision=state.revision),
    )
    return numbered, number


def resolve_version(registry: Registry, model: str, which: str) -> int:
    """Find the number that `which` names: a number, or `champion`. Raises NotFound, Refused."""
    if which == "champion":
        route = registry.route(model)
        if route is None:
            raise NotFound(f"{model} has no champion: nothing was released yet", code="NO_CHAMPION")
        return route.value.champion.version
    if not which.isascii() or not which.isdigit():
        raise Refused(f"{which!r} is no version; write {model}@champion or a number, like {model}@1")
    return registry.version(model, int(which)).value.number
