"""What does the endpoint answer? From the bytes of a request to what is dumped as JSON, whatever serves the HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serin.contract.spec import ServingSpec
from serin.errors import BadRequest, ModelOutput, NotFound
from serin.registry.ports import KeptAnswer
from serin.registry.records import Champion
from serin.serving.answer import answers, count_unsure
from serin.serving.body import MAX_BODY_BYTES, check_count, check_keys, read_json, shorten
from serin.serving.capture import Recorder, Report, say_nothing
from serin.serving.encode import Encoded, encode
from serin.serving.model import LoadedModel
from serin.serving.route import Router, Serving, check_name
from serin.serving.trial import DEADLINE_SECONDS, Arm, Fault, Trial

if TYPE_CHECKING:
    from serin.serving.explain import Explained

Read = Callable[[LoadedModel], Encoded]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answered:
    """What one version answers to the rows of one request, in whatever form they came. scores: as its spec says.

    asked: the version that was to answer, `version` and `model` the one that did. fault: what `asked` did wrong.
    failure: why there are no scores. entity: None where the request names none, or several.
    """

    id: str
    version: int
    model: LoadedModel
    encoded: Encoded
    scores: Scores
    is_degraded: bool
    arm: Arm
    asked: int
    release: str | None
    entity: str | None
    fault: Fault | None = None
    failure: str = ""
    explained: Explained | None = None

    @property
    def spec(self) -> ServingSpec:
        return self.model.spec

    @property
    def notes(self) -> tuple[tuple[str, ...], ...]:
        return self.encoded.notes

    @property
    def unsure(self) -> int:
        """How many rows a person must decide."""
        return count_unsure(self.scores, self.spec)

    def answers(self) -> list[dict[str, Any]]:
        """Write one answer for each row."""
        return answers(self.scores, self.spec, prediction_id=self.id, notes=self.notes, explained=self.explained)

    def with_reasons(self) -> Answered:
        """Say why the scores are so, by the version that gave them. Raises Refused, TooLarge."""
        return self if self.failure else replace(self, explained=self.model.explain(self.encoded, self.scores))


class AnswerSource(Protocol):
    """Where the answers that batches kept are read. Raises Unavailable; gives None where none is kept."""

    def __call__(self, model: str, entity: str) -> KeptAnswer | None: ...


def no_answers(model: str, entity: str) -> KeptAnswer | None:  # noqa: ARG001  # an AnswerSource
    """Know of no answer that was kept."""
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Answers requests: one data plane under every form of HTTP.

    new_id: makes prediction ids. names: lists the models that have a version; raises Unavailable. kept: reads what
    batches kept. recorder: captures each answer. report: told the metric, the code and the reason of what a person
    must see.
    """

    router: Router
    new_id: Callable[[], str]
    names: Callable[[], Sequence[str]] = tuple
    kept: AnswerSource = no_answers
    recorder: Recorder | None = None
    report: Report = say_nothing

    def predict(self, model: str, body: bytes, *, explain: bool = False) -> dict[str, Any]:
        """Answer `{"rows": [{…}, …]}`. explain: whether to say what each feature contributed.

        Raises BadRequest, TooLarge, InvalidRows, NotFound, Unavailable; ModelOutput where the model gives no number;
        Refused where an explanation is asked for that the contract does not have.
        """
        begun, loads = self.router.monotonic(), self.router.loads
        serving = self.router.serving(model)
        answered = self._answer(serving, lambda loaded: _read(body, loaded), None)
        if explain:
            answered = answered.with_reasons()
        said = {
            "model": model,
            "version": answered.version,
            "id": answered.id,
            "predictions": answered.answers(),
        }
        self._settle(model, answered, begun, loads)
        return {**said, "degraded": True} if answered.is_degraded else said

    def answer(
        self,
        model: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        entity: str | None = None,
        version: str | None = None,
        explain: bool = False,
    ) -> Answered:
        """Answer rows, all of them by one version.

        entity: whom they are about, whatever they say themselves. version: the one to ask, as it stands in a path.
        Raises as `predict` does.
        """
        begun, loads = self.router.monotonic(), self.router.loads
        answered = self._answer(self._serving(model, version), lambda loaded: encode(rows, loaded.spec), entity)
        if explain:
            answered = answered.with_reasons()
        self._settle(model, answered, begun, loads)
        return answered

    def spec(self, model: str, version: str | None = None) -> ServingSpec:
        """Find what a model takes and gives. Raises as `predict` does."""
        return self._serving(model, version).model.spec

    def describe(self, model: str, version: str | None = None) -> dict[str, Any]:
        """Say what a model is, who answers, and what it takes; or what one version of it takes."""
        serving = self._serving(model, version)
        spec = serving.model.spec
        return {
            "model": model,
            "task": spec.task,
            "target": spec.target,
            "champion": {
                "version": serving.champion.version,
                "since": serving.champion.since,
                "files": serving.champion.files,
            },
            "classes": list(spec.classes),
            "features": [feature.describe() for feature in spec.features],
            "automation": spec.automation,
            "coverage": spec.uncertainty.coverage if spec.uncertainty else None,
            "explains": spec.baseline is not None,
            "degraded": serving.is_degraded,
        }

    def index(self) -> dict[str, Champion | None]:
        """List the models that have a version, each with its champion. Raises Unavailable."""
        return {name: self.router.champion(name) for name in self.names()}

    def kept_answer(self, model: str, entity: str) -> dict[str, Any]:
        """Give what the last batch answered for an entity. Raises NotFound, Unavailable."""
        check_name(model)
        found = self.kept(model, entity)
        if found is None or found.expires <= self.router.wall_clock():
            raise NotFound(
                f"no answer of {model} is kept for {shorten(entity)!r}: serin batch keeps the last answer of each "
                "entity where the contract says batch: {keep: 7d}, and for as long as that",
                code="NO_ANSWER_KEPT",
            )
        return {"model": model, "entity": entity, **found.body}

    def take_feedback(self, model: str, body: bytes) -> dict[str, Any]:
        """Keep the truth of earlier predictions; again is as once.

        Raises BadRequest, TooLarge, InvalidRows, NotFound, Unavailable.
        """
        from serin.serving.feedback import feedback_lines, read_feedback  # no prediction needs it

        serving = self.router.serving(model)
        if self.recorder is None:
            raise NotFound("this server keeps no feedback: it keeps nothing of predictions", code="NO_FEEDBACK_KEPT")
        on_trial = serving.trial.model if serving.trial else None
        truths = read_feedback(body, [each.spec for each in (serving.model, on_trial) if each])
        self.recorder.keep(feedback_lines(model, truths, at=int(self.router.wall_clock() * 1000)))
        return {"received": len(truths)}

    def _serving(self, model: str, version: str | None) -> Serving:
        return self.router.serving(model) if version is None else self.router.version(model, version)

    def _answer(self, serving: Serving, read: Read, entity: str | None) -> Answered:
        """Ask the version whose turn it is, and where a challenger fails the champion, by whom the rows are judged."""
        encoded = read(serving.model)
        is_split = entity is not None or not encoded.is_mixed
        entity = entity or encoded.entity
        name, trial = self.new_id(), serving.trial
        version, model, asked = serving.version, serving.model, serving.version
        arm = Arm.CHAMPION if is_split and not serving.is_direct else Arm.DIRECT
        scores: Scores | None = None
        fault: Fault | None = None
        failure = ""
        if trial is not None and is_split and trial.takes(entity or name, self.router.wall_clock()):
            arm, asked = Arm.CHALLENGER, trial.challenger.version
            other, scores, fault = self._try_challenger(trial, encoded, read)
            if scores is not None and trial.model is not None:
                version, model, encoded = asked, trial.model, other
        if scores is None:
            scores, wrong, failure = _score(model, encoded)
            fault = fault or wrong
        if scores is None:
            scores = np.empty((0, 1))
        release, is_degraded = serving.release, serving.is_degraded
        return Answered(name, version, model, encoded, scores, is_degraded, arm, asked, release, entity, fault, failure)

    def _try_challenger(
        self, trial: Trial, encoded: Encoded, read: Read
    ) -> tuple[Encoded, Scores | None, Fault | None]:
        """Ask the challenger, unless this process gave it up."""
        if trial.model is None or trial.is_stopped:
            return encoded, None, trial.fault
        begun = self.router.monotonic()
        try:
            encoded = encoded if trial.reads_alike else read(trial.model)
            scores, fault, reason = _score(trial.model, encoded)
        except Exception as error:  # the champion takes these rows, so that whatever is wrong is the challenger's
            scores, fault, reason = None, Fault.RAISED, f"it does not take what the champion takes: {error}"
        if fault is None and (seconds := self.router.monotonic() - begun) > DEADLINE_SECONDS:
            fault, reason = Fault.LATE, f"it took {seconds:.3f} s, and has {DEADLINE_SECONDS} s"
        if fault is None:
            trial.strikes = 0
            return encoded, scores, None
        trial.note(fault, reason)
        with suppress(Exception):  # the answer comes before the word about it
            who = f"{trial.model.spec.model}@{trial.challenger.version}"
            self.report("ChallengerFault", fault, f"the challenger {who} was answered for by the champion: {reason}")
        return encoded, None, fault

    def _settle(self, model: str, answered: Answered, begun: float, loads: int) -> None:
        """Capture an answer, and raise ModelOutput where it is none."""
        if self.recorder is not None:
            seconds = self.router.monotonic() - begun
            self.recorder.record(model, answered, seconds=seconds, is_cold=self.router.loads != loads)
        if answered.failure:
            raise ModelOutput(answered.failure)


def _read(body: bytes, model: LoadedModel) -> Encoded:
    """Read `{"rows": […]}`: fast where nothing is to be said about it, else carefully."""
    fast = model.decoder.decode(body) if len(body) <= MAX_BODY_BYTES else None
    return encode(read_rows(body), model.spec) if fast is None else fast


def _score(model: LoadedModel, encoded: Encoded) -> tuple[Scores | None, Fault | None, str]:
    """Run a model; or say what it did wrong, and how."""
    try:
        return model.predict(encoded), None, ""
    except ModelOutput as error:
        return None, Fault.NOT_A_NUMBER, error.message
    except Exception as error:  # onnxruntime's exceptions have no common ancestor but this
        return None, Fault.RAISED, f"the model failed: {str(error).strip().partition(chr(10))[0][:300]}"


def read_rows(body: bytes, *, names: tuple[str, ...] = ("rows",)) -> list[dict[str, Any]]:
    """Read `{"rows": [{…}, …]}` strictly. names: the keys under one of which they may stand.

    Raises BadRequest or TooLarge.
    """
    document = read_json(body)
    name = next((name for name in names if isinstance(document, dict) and name in document), names[0])
    rows = document.get(name) if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BadRequest(f'the body must be {{"{name}": [{{"<feature>": <value>, …}}, …]}} with at least one row')
    check_keys(document, (name,), "the body")
    check_count(len(rows))
    return rows
