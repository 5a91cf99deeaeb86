"""What does the evaluation step of a run read and write? It judges with what serving uses, and keeps the evidence."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from serin.contract.model import Contract
from serin.errors import NotFound, Unverified
from serin.evaluation.judge import Artifact, Verdict, judge
from serin.registry.ports import Objects
from serin.registry.records import Run
from serin.registry.register import run_prefix, verify_version
from serin.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Judges runs."""

    registry: Registry
    data: Objects
    artifacts: Objects

    def evaluate(self, model: str, run_name: str) -> bool:
        """Ask every gate of the contract of what a run made, store the evidence, and say whether all passed."""
        run = self.registry.run(model, run_name).value
        contract = Contract.model_validate(run.contract)
        champion_version, champion = self._champion(model)
        verdict = judge(
            Artifact(self._file(run, "model.onnx"), self._file(run, "spec.json")),
            holdout_rows=self._file(run, "holdout.npz"),
            holdout_predictions=self._file(run, "predictions.npz"),
            gates=contract.parsed_gates,
            metric=contract.metric,
            champion=champion,
        )
        self.data.put(run_prefix(model, run.id) + "evaluation.json", _evidence(verdict, champion_version))
        return verdict.passed

    def _champion(self, model: str) -> tuple[int | None, Artifact | str | None]:
        """The version that answers now, or why it cannot be compared with; None where there never was one."""
        route = self.registry.route(model)
        if route is None:
            return None, None
        number = route.value.champion.version
        version = self.registry.version(model, number).value
        try:
            verify_version(version, self.artifacts)
            files = [self.artifacts.get(version.prefix + name) for name in ("model.onnx", "spec.json")]
        except (NotFound, Unverified) as error:
            return number, error.message
        return number, Artifact(*files)

    def _file(self, run: Run, name: str) -> bytes:
        return self.data.get(run_prefix(run.model, run.id) + name)


def _evidence(verdict: Verdict, champion: int | None) -> bytes:
    report = {
        "passed": verdict.passed,
        "gates": [asdict(result) for result in verdict.results],
        "metrics": verdict.metrics,
        "champion": champion,
    }
    return json.dumps(report, indent=1, sort_keys=True, allow_nan=False).encode()
