"""What does the evaluation step of a run read and write? It judges with what serving uses, and keeps the evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from serin.contract.model import Contract
from serin.errors import NotFound, Refused, Unverified
from serin.evaluation.gate_result import GateResult, GateVerdict
from serin.evaluation.holdout import Artifact, Score, score_here
from serin.evaluation.judge import judge_version
from serin.registry.ids import sha256
from serin.registry.keys import run_prefix
from serin.registry.ports import Objects
from serin.registry.records import ModelVersion, Run
from serin.registry.register import ARTIFACTS, verify_version
from serin.registry.registry import Registry
from serin.training.rival import Mode, Rival, load_rivals, rival_files

EVIDENCE = "evaluation.json"


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Judges runs. score: how models are run; on AWS in a process of its own, with limits."""

    registry: Registry
    data: Objects
    artifacts: Objects
    score: Score = score_here

    def evaluate(self, model: str, run_name: str) -> bool:
        """Ask every gate of the contract of what a run made, store the evidence, and say whether all passed.

        Raises Refused where one of its datasets was excluded meanwhile.
        """
        run = self.registry.run(model, run_name).value
        self._check_datasets(run)
        contract = Contract.model_validate(run.contract)
        files = {name: self._file(run, name) for name in (*ARTIFACTS, "holdout.npz", "rivals.json") if name != EVIDENCE}
        tables = {name: self._file(run, name) for name in rival_files(files["rivals.json"])}
        rivals = load_rivals(files["rivals.json"], tables)
        holdout: dict[str, int] = json.loads(files["training.json"])["holdout"]
        verdict = judge_version(
            Artifact(files["judged.onnx"], files["judged.json"]),
            Artifact(files["model.onnx"], files["spec.json"]),
            holdout_rows=files["holdout.npz"],
            holdout_predictions=files["predictions.npz"],
            gates=contract.parsed_gates,
            metric=contract.metric,
            rivals=[(rival, self._judged_artifact(model, rival)) for rival in self._with_champion(model, rivals)],
            asked_before=asked_before(holdout, self.registry.versions(model)),
            score=self.score,
        )
        verdict = self._unless_same(model, sha256(files["model.onnx"]), verdict)
        digests = {name: sha256(files[name]) for name in ARTIFACTS if name != EVIDENCE}
        self.data.put(run_prefix(model, run.id) + EVIDENCE, _evidence(verdict, rivals, holdout, digests))
        return verdict.passed

    def _check_datasets(self, run: Run) -> None:
        used = {dataset.id for dataset in self.registry.used_datasets(run.model)}
        if gone := [name for name in run.datasets if name not in used]:
            raise Refused(f"dataset {gone[0]} was excluded while it was learned from", code="EXCLUDED")

    def _with_champion(self, model: str, rivals: Sequence[Rival]) -> list[Rival]:
        """The rivals that were prepared; where another version became the champion since, it cannot be asked."""
        route = self.registry.route(model)
        if route is None or any(
            rival.is_champion and rival.version == route.value.champion.version for rival in rivals
        ):
            return list(rivals)
        reason = f"it became the champion while this one was trained; train again: serin train {model}"
        return [Rival(route.value.champion.version, True, False, Mode.NONE, reason)]

    def _judged_artifact(self, model: str, rival: Rival) -> Artifact | None:
        """The judged model of a rival that is to be asked; None where it is gone, or not what was registered."""
        if rival.mode is not Mode.ASKED:
            return None
        version = self.registry.version(model, rival.version).value
        try:
            verify_version(version, self.artifacts)
            return Artifact(*(self.artifacts.get(version.prefix + name) for name in ("judged.onnx", "judged.json")))
        except (NotFound, Unverified):
            return None

    def _unless_same(self, model: str, digest: str, verdict: GateVerdict) -> GateVerdict:
        """Refuse the very model that answers already: there is nothing to release."""
        route = self.registry.route(model)
        if route is None or route.value.champion.files.get("model.onnx") != digest:
            return verdict
        message = f"it is the same model, byte by byte, as version {route.value.champion.version}, which answers"
        same = GateResult("differs from the champion", False, None, None, None, 0, message)
        return GateVerdict(False, (*verdict.results, same), verdict.metrics)

    def _file(self, run: Run, name: str) -> bytes:
        return self.data.get(run_prefix(run.model, run.id) + name)


def asked_before(holdout: dict[str, int], versions: Sequence[ModelVersion]) -> float:
    """Say how often the rows of a hold-out were asked already, each time by the share of them that was.

    holdout: how many rows of each dataset. What the rows of one dataset are is the same for all versions, nearly.
    """
    total = sum(holdout.values())
    return sum(
        min(rows, version.holdout.get(dataset, 0)) / total for version in versions for dataset, rows in holdout.items()
    )


def _evidence(verdict: GateVerdict, rivals: Sequence[Rival], holdout: dict[str, int], digests: dict[str, str]) -> bytes:
    report = {
        "passed": verdict.passed,
        "held": verdict.held,
        "gain": verdict.gain,
        "gates": [asdict(result) for result in verdict.results],
        "metrics": verdict.metrics,
        "champion": next((rival.version for rival in rivals if rival.is_champion), None),
        "anchor": next((rival.version for rival in rivals if rival.is_anchor), None),
        "holdout": holdout,
        "files": digests,
    }
    return json.dumps(report, indent=1, sort_keys=True, allow_nan=False).encode()
