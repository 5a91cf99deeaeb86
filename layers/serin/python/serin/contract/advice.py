"""What is allowed in a contract, and yet worth a second look?"""

from __future__ import annotations

from collections.abc import Iterator

from serin.contract.gates import Beats, Rival, Threshold
from serin.contract.model import Contract


def advise(contract: Contract) -> Iterator[str]:
    """Say what a careful colleague would: one sentence each."""
    sensitive = [name for name, feature in contract.features.items() if feature.sensitive]
    if sensitive:
        yield f"the model learns from facts about people: {', '.join(sensitive)}"
    gates = contract.parsed_gates
    if not any(isinstance(gate, Threshold) for gate in gates):
        yield f"no gate asks for a quality of its own; add one like '{contract.metric.name} {_example(contract)}'"
    if not any(isinstance(gate, Beats) and gate.rival is Rival.CHAMPION for gate in gates):
        yield "no gate compares with the champion: a worse version could replace it"
    fits = contract.training.folds * len(contract.training.candidates)
    if contract.training.budget < fits:
        yield (
            f"a budget of {contract.training.budget} fits is less than {len(contract.training.candidates)} candidates "
            f"in {contract.training.folds} folds need ({fits})"
        )


def _example(contract: Contract) -> str:
    return ">= 0.7" if contract.metric.higher_is_better else "<= 10"
