"""What does the endpoint answer? From the bytes of a request to what is dumped as JSON, whatever serves the HTTP."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from serin.errors import BadRequest, ModelOutput, NotFound, loggable
from serin.registry.ports import KeptAnswer
from serin.registry.records import Champion
from serin.serving.answer import EXPLANATION, Answered, Scores, extras
from serin.serving.capture.recorder import Recorder
from serin.serving.description import Description
from serin.serving.lines import Arm, Fault
from serin.serving.report import Report, say_nothing
from serin.serving.routing.router import Router, Serving, check_name
from serin.serving.routing.trial import DEADLINE_SECONDS, Trial
from serin.serving.rows.body import MAX_BODY_BYTES, check_count, check_keys, read_json, shorten
from serin.serving.rows.encode import Encoded, encode, entity_text
from serin.serving.runtime.model import LoadedModel

if TYPE_CHECKING:  # few requests ask for it
    from serin.serving.runtime.explain import Explained

Read = Callable[[LoadedModel], Encoded]


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
        answered = self._answer(serving, lambda loaded: _read(body, loaded), None, EXPLANATION if explain else ())
        answer = {
            "model": model,
            "version": answered.version,
            "id": answered.id,
            "predictions": answered.answers(),
        }
        self._settle(model, answered, begun, loads)
        return {**answer, "degraded": True} if answered.is_degraded else answer

    def serving(self, model: str, version: str | None = None) -> Serving:
        """Find who answers for a model; or the version that is addressed, as it stands in a path.

        Raises as `predict` does.
        """
        return self.router.serving(model) if version is None else self.router.version(model, version)

    def answer(
        self,
        model: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        serving: Serving | None = None,
        entity: str | None = None,
        needs: Collection[str] = (),
    ) -> Answered:
        """Answer rows, all of them by one version.

        serving: where it was found for this request already; else the route may be another one by now. entity: whom
        the rows are about, whatever they say themselves. needs: which of `extras` the answer must have. Raises as
        `predict` does.
        """
        begun, loads = self.router.monotonic(), self.router.loads
        serving = serving or self.serving(model)
        answered = self._answer(serving, lambda loaded: encode(rows, loaded.spec), entity, needs)
        self._settle(model, answered, begun, loads)
        return answered

    def describe(self, model: str, version: str | None = None) -> Description:
        """Say what a model is, who answers, and what it takes; or what one version of it takes."""
        serving = self.serving(model, version)
        return Description.of(model, serving.model.spec, serving.champion, is_degraded=serving.is_degraded)

    def index(self) -> dict[str, Champion | None]:
        """List the models that have a version, each with its champion. Raises Unavailable."""
        return {name: self.router.champion(name) for name in self.names()}

    def kept_answer(self, model: str, entity: str) -> dict[str, Any]:
        """Give what the last batch answered for an entity. Raises NotFound, Unavailable."""
        check_name(model)
        answer = self.kept(model, entity_text(entity) or entity)
        if answer is None or answer.expires <= self.router.wall_clock():
            raise NotFound(
                f"no answer of {model} is kept for {shorten(entity)!r}: serin batch keeps the last answer of each "
                "entity where the contract says batch: {keep: 7d}, and for as long as that",
                code="NO_ANSWER_KEPT",
            )
        return {"model": model, "entity": entity, **answer.body}

    def take_feedback(self, model: str, body: bytes) -> dict[str, Any]:
        """Keep the truth of earlier predictions; again is as once.

        Raises BadRequest, TooLarge, InvalidRows, NotFound, Unavailable.
        """
        from serin.serving.capture.feedback import feedback_lines, read_feedback  # no prediction needs it

        serving = self.router.serving(model)
        if self.recorder is None:
            raise NotFound("this server keeps no feedback: it keeps nothing of predictions", code="NO_FEEDBACK_KEPT")
        on_trial = serving.trial.model if serving.trial else None
        truths = read_feedback(body, [loaded.spec for loaded in (serving.model, on_trial) if loaded])
        self.recorder.keep(feedback_lines(model, truths, at=int(self.router.wall_clock() * 1000)))
        return {"received": len(truths)}

    def _answer(self, serving: Serving, read: Read, entity: str | None, needs: Collection[str]) -> Answered:
        """Ask the version whose turn it is, and where a challenger fails the champion, by whom the rows are judged."""
        encoded = read(serving.model)
        if needs:
            _check_explainable(serving.model, needs, rows=len(encoded))
        is_split = entity is not None or not encoded.is_mixed
        entity = entity or encoded.entity
        prediction, trial = self.new_id(), serving.trial
        version, model, assigned = serving.version, serving.model, serving.version
        arm = Arm.CHAMPION if is_split and not serving.is_direct else Arm.DIRECT
        result = _NO_RESULT
        if trial is not None and is_split and trial.takes(entity or prediction, self.router.wall_clock()):
            arm, assigned = Arm.CHALLENGER, trial.challenger.version
            by_challenger, result = self._ask_challenger(trial, encoded, read, needs)
            if result.scores is not None and trial.model is not None:
                version, model, encoded = assigned, trial.model, by_challenger
        fault = result.fault
        if result.scores is None:
            result = _score(model, encoded, needs)
            fault = fault or result.fault
        scores, reason = (_NO_SCORES, result.reason) if result.scores is None else (result.scores, "")
        return Answered(
            prediction, serving, version, model, encoded, scores, arm, assigned, entity, fault, reason, result.explained
        )

    def _ask_challenger(
        self, trial: Trial, encoded: Encoded, read: Read, needs: Collection[str]
    ) -> tuple[Encoded, _Result]:
        """Ask the challenger, unless this process gave it up. encoded: as the champion reads it.

        Gives the rows as the challenger reads them, and its result.
        """
        if trial.model is None or trial.is_open:
            return encoded, _Result(None, fault=trial.fault)
        begun = self.router.monotonic()
        encoded, result = _score_challenger(trial.model, encoded, None if trial.reads_alike else read, needs)
        # An explanation runs hundreds of rows; what that takes is no fault of a version's.
        is_timed = result.fault is None and result.explained is None
        if is_timed and (seconds := self.router.monotonic() - begun) > DEADLINE_SECONDS:
            result = _Result(None, fault=Fault.LATE, reason=f"it took {seconds:.3f} s, and has {DEADLINE_SECONDS} s")
        if result.fault is None:
            trial.consecutive_failures = 0
            return encoded, result
        trial.note(result.fault, result.reason)
        with suppress(Exception):  # the answer comes before the word about it
            who = f"the challenger {trial.model.spec.model}@{trial.challenger.version}"
            self.report("ChallengerFault", result.fault, f"{who} was answered for by the champion: {result.reason}")
        return encoded, result

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


class _Result(NamedTuple):
    """What a version gave; where it gave no scores, what it did wrong, and how."""

    scores: Scores | None
    explained: Explained | None = None
    fault: Fault | None = None
    reason: str = ""


_NO_RESULT = _Result(None)
_NO_SCORES: Scores = np.empty((0, 1))


def _score(model: LoadedModel, encoded: Encoded, needs: Collection[str]) -> _Result:
    """Run a model, and explain what it says where that is needed."""
    try:
        scores = model.predict(encoded)
        is_explained = needs and not EXPLANATION.isdisjoint(needs)
        return _Result(scores, model.explain(encoded, scores) if is_explained else None)
    except ModelOutput as error:
        return _Result(None, fault=Fault.NOT_A_NUMBER, reason=error.message)
    except Exception as error:  # onnxruntime's exceptions have no common ancestor but this
        return _Result(None, fault=Fault.RAISED, reason=f"the model failed: {loggable(error)}")


def _score_challenger(
    model: LoadedModel, encoded: Encoded, read: Read | None, needs: Collection[str]
) -> tuple[Encoded, _Result]:
    """Run a challenger on what its champion answers. read: None where it reads rows as the champion does."""
    lacking = sorted(set(needs).difference(extras(model.spec))) if needs else ()
    try:
        encoded = read(model) if read else encoded
    except Exception as error:  # the champion can do it, so that whatever is wrong is the challenger's
        reason = f"it does not do what the champion does: {loggable(error)}"
        return encoded, _Result(None, fault=Fault.RAISED, reason=reason)
    if lacking:
        reason = f"it does not give {' and '.join(lacking)}, which the champion gives"
        return encoded, _Result(None, fault=Fault.RAISED, reason=reason)
    return encoded, _score(model, encoded, needs)


def _check_explainable(model: LoadedModel, needs: Collection[str], *, rows: int) -> None:
    """Raise Refused or TooLarge where an explanation is needed that there is none of."""
    if not EXPLANATION.isdisjoint(needs):
        from serin.serving.runtime.explain import check_explainable  # few requests ask for it

        check_explainable(model.spec, rows)


def read_rows(body: bytes) -> list[dict[str, Any]]:
    """Read `{"rows": [{…}, …]}` strictly. Raises BadRequest or TooLarge."""
    document = read_json(body)
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BadRequest('the body must be {"rows": [{"<feature>": <value>, …}, …]} with at least one row')
    check_keys(document, ("rows",), "the body")
    check_count(len(rows))
    return rows
