"""What is allowed in a contract, and yet worth a second look?"""

from __future__ import annotations

from collections.abc import Iterator

from serin.contract.gates import Threshold, is_of_champion
from serin.contract.metrics import Task
from serin.contract.model import Contract


def advise(contract: Contract) -> Iterator[str]:
    """Say what a careful colleague would: one sentence each."""
    sensitive = [name for name, feature in contract.features.items() if feature.sensitive]
    if sensitive:
        yield f"the model learns from facts about people: {', '.join(sensitive)}"
        yield from _advise_on_captures(contract, sensitive)
    gates = contract.parsed_gates
    if not any(isinstance(gate, Threshold) for gate in gates):
        yield f"no gate asks for a quality of its own; add one like '{_example(contract)}'"
    if not any(map(is_of_champion, gates)):
        yield "no gate compares with the champion: a worse version could replace it"
    fits = contract.training.folds * len(contract.training.candidates)
    if contract.training.budget < fits:
        yield (
            f"a budget of {contract.training.budget} fits is less than {len(contract.training.candidates)} candidates "
            f"in {contract.training.folds} folds need ({fits})"
        )


def _advise_on_captures(contract: Contract, sensitive: list[str]) -> Iterator[str]:
    """Say which facts about people pass through the endpoint's log into captures, and what it costs to mask them."""
    capture = contract.serving.capture
    masked = [name for name in sensitive if name in contract.masked]
    plain = [name for name in sensitive if name not in (*masked, *capture.hash, contract.entity)]
    if masked:
        names, keeping = ", ".join(masked), "; serving: {capture: {mask: []}} keeps them"
        yield (
            f"captures leave out {names}: no drift of them is seen, and no replay or shadow can be"
            f"{keeping if capture.mask is None else ''}"
        )
    if plain:
        yield f"captures, and the endpoint's log through which they pass, hold {', '.join(plain)} as sent"


def _example(contract: Contract) -> str:
    """Give a gate on a metric whose scale is known: what an error may be depends on the target's unit."""
    if contract.task is Task.REGRESSION:
        return "r2 >= 0.5"
    return f"{contract.metric.name} >= 0.7" if contract.metric.higher_is_better else "accuracy >= 0.7"
