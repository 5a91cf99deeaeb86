"""Is the challenger worse than the champion? Evidence that may be looked at as often as one likes.

Each question (error, slow, unsure, wrong) has two null hypotheses, and each has an e-process: a bet against it that
starts at 1 and, while it is true, is not expected to grow, whatever the base rate does from minute to minute. By
Ville's inequality it then passes 1/level at any time whatsoever with at most that probability.

- breach is a bet against "in every minute the challenger's rate is at most the champion's". It looks only at where a
  minute's events fell, given how many there were and how large the arms were, so the base rate cancels:
  Lindon and Malek, Anytime-Valid Inference for Multinomial Count Data (arXiv 2011.03567).
- pass is a bet against "in every minute the challenger's rate exceeds the champion's by the margin or more":
  Turner and Grünwald, Safe Sequential Testing and Effect Estimation in Stratified Count Data (arXiv 2302.11401).

docs/releases.md explains both with a picture; `make bench-release` measures how often they err.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate
from math import acos, copysign, cos, exp, inf, isfinite, log, log1p, pi, sqrt

from serin.monitoring.minutes import Counts, Minute

BREACH_LEVEL = 0.05
"""How often a release whose challenger is no worse may be rolled back: over all its questions and all its time."""
PASS_LEVEL = 0.02
"""How often a challenger that is worse by the margin may pass, for each question."""

_RATIOS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""The bet on breach is spread evenly over these: how many times worse the challenger might be."""
_BET_ON_EQUAL = 0.75
"""The bet on pass: this part says that the arms are equal, the rest that they are as they were seen so far."""
_MEMORY_UNITS = 2_000.0
"""The rates that a bet on pass counts with are those of about so many units before it; older ones fade."""
_SHRINK_UNITS = 200.0
"""What an arm's own rate is held back by, towards the rate of both."""
_GRID = (
    *(0.0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03),
    *(0.04, 0.06, 0.08, 0.12, 0.16, 0.22, 0.3, 0.4, 0.5, 0.7, 0.9),
)
"""The differences, and their opposites, that bounds are looked for among."""

_BASE: Mapping[str, str] = {"error": "units", "slow": "timed", "unsure": "units", "wrong": "judged"}


class Verdict(StrEnum):
    BREACH = "breach"
    PASS = "pass"
    NOT_ENOUGH = "not enough"


@dataclass(frozen=True, slots=True)
class Block:
    """Both arms over a stretch of time in which the weight stood still: units, and events among them."""

    champion_units: int
    champion_events: int
    challenger_units: int
    challenger_events: int

    @property
    def is_sound(self) -> bool:
        """Tell whether these can be counts at all. Nothing that is not finite can."""
        counts = (self.champion_units, self.champion_events, self.challenger_units, self.challenger_events)
        return (
            all(isfinite(count) for count in counts)
            and 0 <= self.champion_events <= self.champion_units
            and 0 <= self.challenger_events <= self.challenger_units
        )

    @property
    def has_both(self) -> bool:
        return self.champion_units > 0 and self.challenger_units > 0

    @property
    def swapped(self) -> Block:
        """The same with the arms in each other's place."""
        return Block(self.challenger_units, self.challenger_events, self.champion_units, self.champion_events)

    def __add__(self, other: Block) -> Block:
        return Block(
            self.champion_units + other.champion_units,
            self.champion_events + other.champion_events,
            self.challenger_units + other.challenger_units,
            self.challenger_events + other.challenger_events,
        )


NOTHING = Block(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Rates:
    """What each arm's rate was lately. Units and events fade as new ones come."""

    champion_units: float = 0.0
    champion_events: float = 0.0
    challenger_units: float = 0.0
    challenger_events: float = 0.0

    def then(self, block: Block) -> _Rates:
        kept = exp(-(block.champion_units + block.challenger_units) / _MEMORY_UNITS)
        return _Rates(
            self.champion_units * kept + block.champion_units,
            self.champion_events * kept + block.champion_events,
            self.challenger_units * kept + block.challenger_units,
            self.challenger_events * kept + block.challenger_events,
        )

    @property
    def of_both(self) -> float:
        """The rate over both arms; before anything was seen, one in ten, which makes the first bets small."""
        events = self.champion_events + self.challenger_events + 0.5
        return events / (self.champion_units + self.challenger_units + 5.0)

    @property
    def of_each(self) -> tuple[float, float]:
        held = _SHRINK_UNITS * self.of_both
        return (
            (self.champion_events + held) / (self.champion_units + _SHRINK_UNITS),
            (self.challenger_events + held) / (self.challenger_units + _SHRINK_UNITS),
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """What the evidence on one question comes to so far. All bets are logarithms of e-processes.

    seen: everything that was compared. breach: one bet for each ratio. worst: the highest that their mean ever
    stood. equal, as_seen: the two bets on pass. is_sound: no count was impossible.
    """

    seen: Block = NOTHING
    breach: tuple[float, ...] = (0.0,) * len(_RATIOS)
    worst: float = 0.0
    equal: float = 0.0
    as_seen: float = 0.0
    rates: _Rates = _Rates()
    is_sound: bool = True

    @property
    def passing(self) -> float:
        """The logarithm of the e-process on pass, as it stands now."""
        return _log_mean((self.equal, self.as_seen), (_BET_ON_EQUAL, 1 - _BET_ON_EQUAL))

    @property
    def least_units(self) -> int:
        """How many units were compared in the arm that has fewer."""
        return min(self.seen.champion_units, self.seen.challenger_units)


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question, with what it rests on.

    breach, passing: how far each bet has come, 1 being enough. lower, upper: bounds of the difference between the
    challenger's rate and the champion's, where they were asked for.
    """

    question: str
    verdict: Verdict
    margin: float
    seen: Block
    breach: float
    passing: float
    lower: float | None = None
    upper: float | None = None

    @property
    def sentence(self) -> str:
        """Say it in words."""
        seen = self.seen
        bounds = (
            "" if self.lower is None or self.upper is None else f", difference {self.lower:+.2%} to {self.upper:+.2%}"
        )
        return (
            f"{self.question}: {self.verdict}; challenger {seen.challenger_events} of {seen.challenger_units}, "
            f"champion {seen.champion_events} of {seen.champion_units}{bounds} (margin {self.margin:.2%})"
        )


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many more units both arms together need until a question passes, if the arms are equal, and how long."""

    units: float
    minutes: float


def judge(
    minutes: Iterable[Minute],
    margins: Mapping[str, float],
    *,
    changes: Collection[int] = (),
    with_bounds: bool = False,
) -> dict[str, Finding]:
    """Answer every question that has a margin.

    minutes: complete ones only, in any order. changes: the minutes in which the weight or the salt changed.
    with_bounds: work out the bounds too, for people; decisions do not need them.
    """
    in_order = sorted(minutes, key=lambda minute: minute.at)
    findings = {}
    for question, margin in margins.items():
        seen = list(blocks(in_order, question, changes=changes))
        finding = find(question, tally(seen, margin), margin, questions=len(margins))
        if with_bounds:
            lower, upper = bounds(seen, margin, questions=len(margins))
            # Both bets are valid; where the other one is further, its bound holds.
            lower = max(lower, 0.0) if finding.verdict is Verdict.BREACH else lower
            upper = min(upper, margin) if finding.verdict is Verdict.PASS else upper
            finding = replace(finding, lower=lower, upper=upper)
        findings[question] = finding
    return findings


def find(question: str, tally: Tally, margin: float, *, questions: int) -> Finding:
    """Reach a verdict. questions: how many share the level of breach."""
    breach = tally.worst / log(questions / BREACH_LEVEL)
    passing = tally.passing / log(1 / PASS_LEVEL)
    if breach >= 1:
        verdict = Verdict.BREACH
    elif tally.is_sound and tally.seen.has_both and passing >= 1:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.NOT_ENOUGH
    return Finding(question, verdict, margin, tally.seen, breach, passing)


def unknown(question: str, margin: float) -> Finding:
    """Answer a question of which nothing was counted."""
    return Finding(question, Verdict.NOT_ENOUGH, margin, NOTHING, breach=0.0, passing=0.0)


def blocks(minutes: Iterable[Minute], question: str, *, changes: Collection[int] = ()) -> Iterator[Block]:
    """Cut the time of a release into blocks that hold both arms.

    Where traffic is thin, minutes are joined until both arms were seen, but never with or across one in which the
    weight changed: arms of different weights are not to be pooled. What never met the other arm is left out.
    """
    waiting = NOTHING
    for minute in minutes:
        is_change = minute.at in changes
        block = _block(minute, question)
        if not is_change:
            block = waiting + block
        if block.has_both or not block.is_sound:
            yield block
            waiting = NOTHING
        else:
            waiting = NOTHING if is_change else block


def _block(minute: Minute, question: str) -> Block:
    base = _BASE[question]

    def of(arm: Counts) -> tuple[int, int]:
        return getattr(arm, base), getattr(arm, question)

    return Block(*of(minute.champion), *of(minute.challenger))


def tally(seen: Iterable[Block], margin: float) -> Tally:
    """Put all blocks of a question together, the oldest first."""
    result = Tally()
    for block in seen:
        result = add(result, block, margin)
    return result


def add(tally: Tally, block: Block, margin: float) -> Tally:
    """Let each bet play one more block. The stakes depend on earlier blocks and on the arms' sizes alone."""
    if not block.is_sound:
        return replace(tally, is_sound=False)
    if not block.has_both:
        return tally
    breach = _play_breach(tally.breach, block)
    rate = tally.rates.of_both
    return Tally(
        seen=tally.seen + block,
        breach=breach,
        worst=max(tally.worst, _log_mean(breach, (1 / len(_RATIOS),) * len(_RATIOS))),
        equal=tally.equal + _play_difference(block, margin, rate, rate),
        as_seen=tally.as_seen + _play_difference(block, margin, *tally.rates.of_each),
        rates=tally.rates.then(block),
        is_sound=tally.is_sound,
    )


def is_worse(seen: Iterable[Block], *, level: float) -> bool:
    """Tell whether the challenger is certainly worse. With swapped blocks: whether it is certainly better."""
    bets = (0.0,) * len(_RATIOS)
    for block in seen:
        if not block.is_sound:
            return False
        if block.has_both:
            bets = _play_breach(bets, block)
            if _log_mean(bets, (1 / len(_RATIOS),) * len(_RATIOS)) >= log(1 / level):
                return True
    return False


def bounds(seen: Iterable[Block], margin: float, *, questions: int) -> tuple[float, float]:
    """Bound the difference of the rates, challenger less champion, by inverting the bet on pass over a grid.

    The upper bound holds at the level of pass, the lower one at a question's share of the level of breach. They may
    be read at any time, as the verdicts.
    """
    forward = list(seen)
    backward = [block.swapped for block in forward]
    upper = _least_refuted(forward, margin, level=PASS_LEVEL)
    lower = -_least_refuted(backward, margin, level=BREACH_LEVEL / questions)
    return lower, upper


def units_needed(rate: float, margin: float, *, weight: float, from_log: float = 0.0) -> float:
    """Forecast how many units both arms need until a question passes, if both arms have this rate.

    weight: the challenger's share of them. from_log: the logarithm at which the bet stands already.
    """
    if not 0 < weight < 1:
        return inf
    rate = min(max(rate, 1e-6), 1 - 1e-6)
    nearest = nearest_rate(1 - weight, weight, rate, rate, margin)
    if nearest is None:
        return inf
    growth = (1 - weight) * _divergence(rate, nearest) + weight * _divergence(rate, nearest + margin)
    missing = log(1 / PASS_LEVEL) - log(_BET_ON_EQUAL) - from_log
    return max(missing, 0.0) / growth if growth > 0 else inf


def forecast(tally: Tally, margin: float, *, weight: float, units_per_minute: float) -> Forecast:
    """Forecast when a question passes at the traffic seen."""
    units = units_needed(tally.rates.of_both, margin, weight=weight, from_log=tally.passing + log(_BET_ON_EQUAL))
    return Forecast(units, units / units_per_minute if units_per_minute > 0 else inf)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How often the challenger answered otherwise than the champion, of the requests where both were asked.

    faults: on how many others of them the challenger raised or gave no number.
    """

    compared: int = 0
    disagreeing: int = 0
    faults: int = 0

    @property
    def is_sound(self) -> bool:
        """Tell whether these can be counts at all. Nothing that is not finite can."""
        events = self.disagreeing + self.faults
        return isfinite(self.compared) and 0 <= self.disagreeing <= events <= self.compared

    @property
    def sentence(self) -> str:
        """Say it in words."""
        return f"disagrees on {self.disagreeing} of {self.compared} requests and failed on {self.faults}"


UNSEEN = Disagreement()
_PARTS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95)
"""The bets on a disagreement are spread over rates so far on the way from what is allowed to all, or to none."""


def is_too_much(seen: Disagreement, allowed: float, *, level: float = PASS_LEVEL) -> bool:
    """Tell whether the challenger certainly disagrees, or fails, more often than is allowed.

    A bet against one rate, spread over larger ones; it may be looked at any time.
    """
    allowed = _proper(allowed)
    return _is_won(seen, allowed, [allowed + (1 - allowed) * part for part in _PARTS], level=level)


def is_surely_allowed(seen: Disagreement, allowed: float, *, level: float = PASS_LEVEL) -> bool:
    """Tell whether the challenger certainly disagrees, or fails, less often than is allowed: a bet on smaller rates."""
    allowed = _proper(allowed)
    return _is_won(seen, allowed, [allowed * (1 - part) for part in _PARTS], level=level)


def _is_won(seen: Disagreement, allowed: float, rates: Sequence[float], *, level: float) -> bool:
    events = seen.disagreeing + seen.faults
    bets = tuple(
        events * log(rate / allowed) + (seen.compared - events) * log((1 - rate) / (1 - allowed)) for rate in rates
    )
    return _log_mean(bets, (1 / len(bets),) * len(bets)) >= log(1 / level)


def _proper(rate: float) -> float:
    return min(max(rate, 1e-6), 1 - 1e-6)


def _play_breach(bets: tuple[float, ...], block: Block) -> tuple[float, ...]:
    """Bet that more of the events fall to the challenger than its share of the units.

    Given the number of events, how many are the challenger's is hypergeometric where the arms are equal. The stakes
    are priced by the binomial with the same share, which costs at least as much: Hoeffding (1963), theorem 4. So the
    bet is valid for arms of any size, not only where events are rare.
    """
    units = block.champion_units + block.challenger_units
    events = block.champion_events + block.challenger_events
    hits, share = block.challenger_events, block.challenger_units / units
    if 2 * events > units:  # the rarer outcome tells more: bet that what went well falls to the champion
        events = units - events
        hits, share = block.champion_units - block.champion_events, 1 - share
    if not events:
        return bets
    return tuple(
        bet + hits * log(ratio) - events * log1p(share * (ratio - 1)) for bet, ratio in zip(bets, _RATIOS, strict=True)
    )


def _play_difference(block: Block, margin: float, champion_rate: float, challenger_rate: float) -> float:
    """Bet that the rates are these, against a challenger that is worse by the margin or more; gives the log won.

    The likelihood under these rates over that under the nearest rates of the null. For each arm the ratio is linear
    in the true rate, 1 + stake (rate - nearest), and the stakes of the arms stand in inverse proportion to their
    sizes, so that by the inequality of the means the expected product is at most 1 under the whole null. That holds
    for any point on its edge; the nearest one is the best.
    """
    units, others = block.champion_units, block.challenger_units
    nearest = nearest_rate(units, others, champion_rate, challenger_rate, margin)
    if nearest is None:
        return 0.0
    beyond = nearest + margin
    stake = (champion_rate - nearest) / (nearest * (1 - nearest))
    counter = -stake * units / others
    factors = (
        (block.champion_events, stake * (1 - nearest)),
        (units - block.champion_events, -stake * nearest),
        (block.challenger_events, counter * (1 - beyond)),
        (others - block.challenger_events, -counter * beyond),
    )
    if min(change for _, change in factors) <= -1:
        return 0.0  # rounding; a stake that could lose everything is not placed
    return sum(count * log1p(change) for count, change in factors)


def nearest_rate(
    champion_units: float, challenger_units: float, champion_rate: float, challenger_rate: float, margin: float
) -> float | None:
    """Find the champion's rate on the edge of the null, `challenger = champion + margin`, that is nearest to these.

    Nearest in likelihood, the arms weighted by their sizes; None where the rates are within the null. It is the root
    of a cubic: Farrington and Manning, Statistics in Medicine 9 (1990), appendix.
    """
    if challenger_rate - champion_rate >= margin:
        return None
    size = champion_units / challenger_units
    a = 1 + size
    b = -(1 + size + challenger_rate + size * champion_rate + margin * (size + 2))
    c = margin * margin + margin * (2 * challenger_rate + size + 1) + challenger_rate + size * champion_rate
    d = -challenger_rate * margin * (1 + margin)
    third = b / (3 * a)
    v = third**3 - b * c / (6 * a * a) + d / (2 * a)
    u = copysign(sqrt(max(third * third - c / (3 * a), 0.0)), v)
    turn = min(max(v / u**3, -1.0), 1.0) if u else 1.0
    nearest = 2 * u * cos((pi + acos(turn)) / 3) - third - margin
    if not max(0.0, -margin) < nearest < min(1.0, 1 - margin):
        return None
    return nearest


def _least_refuted(seen: list[Block], margin: float, *, level: float) -> float:
    """Find the least difference that was refuted together with all greater ones."""
    grid = sorted({*_GRID, *(-value for value in _GRID), margin}, reverse=True)
    least = 1.0
    for difference in grid:
        if not _is_refuted(seen, difference, level=level):
            break
        least = difference
    return least


def _is_refuted(seen: list[Block], difference: float, *, level: float) -> bool:
    """Tell whether the bet against a difference of this much or more was ever won."""
    equal, as_seen, needed = 0.0 if difference > 0 else -inf, 0.0, log(1 / level)
    before = accumulate(seen, _Rates.then, initial=_Rates())
    for rates, block in zip(before, seen, strict=False):
        if not block.has_both or not block.is_sound:
            continue
        if difference > 0:
            equal += _play_difference(block, difference, rates.of_both, rates.of_both)
        as_seen += _play_difference(block, difference, *rates.of_each)
        if _log_mean((equal, as_seen), (_BET_ON_EQUAL, 1 - _BET_ON_EQUAL)) >= needed:
            return True
    return False


def _divergence(rate: float, other: float) -> float:
    """Kullback and Leibler's divergence between two rates, in nats."""
    return rate * log(rate / other) + (1 - rate) * log((1 - rate) / (1 - other))


def _log_mean(logs: tuple[float, ...], weights: tuple[float, ...]) -> float:
    """The logarithm of the weighted mean of numbers given by their logarithms."""
    top = max(logs)
    if not isfinite(top):
        return top
    return top + log(sum(weight * exp(each - top) for each, weight in zip(logs, weights, strict=True)))
