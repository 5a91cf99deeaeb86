"""How much does the evidence on one question weigh? It may be looked at as often as one likes.

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

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate
from math import acos, copysign, cos, exp, inf, isfinite, log, log1p, pi, sqrt

BREACH_LEVEL = 0.05
"""How often a release whose challenger is no worse may be rolled back: over all its questions and all its time."""
PASS_LEVEL = 0.02
"""How often a challenger that is worse by the margin may pass, for each question."""

_RATIOS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""The bet on breach is spread evenly over these: how many times worse the challenger might be."""
BET_ON_EQUAL = 0.75
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
    def units(self) -> int:
        return self.champion_units + self.challenger_units

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
        kept = exp(-block.units / _MEMORY_UNITS)
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
        return log_mean((self.equal, self.as_seen), (BET_ON_EQUAL, 1 - BET_ON_EQUAL))

    @property
    def least_units(self) -> int:
        """How many units were compared in the arm that has fewer."""
        return min(self.seen.champion_units, self.seen.challenger_units)


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
        worst=max(tally.worst, log_mean(breach, (1 / len(_RATIOS),) * len(_RATIOS))),
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
            if log_mean(bets, (1 / len(_RATIOS),) * len(_RATIOS)) >= log(1 / level):
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


def _play_breach(bets: tuple[float, ...], block: Block) -> tuple[float, ...]:
    """Bet that more of the events fall to the challenger than its share of the units.

    Given the number of events, how many are the challenger's is hypergeometric where the arms are equal. The stakes
    are priced by the binomial with the same share, which costs at least as much: Hoeffding (1963), theorem 4. So the
    bet is valid for arms of any size, not only where events are rare.
    """
    units = block.units
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
        if log_mean((equal, as_seen), (BET_ON_EQUAL, 1 - BET_ON_EQUAL)) >= needed:
            return True
    return False


def log_mean(logs: tuple[float, ...], weights: tuple[float, ...]) -> float:
    """The logarithm of the weighted mean of numbers given by their logarithms."""
    top = max(logs)
    if not isfinite(top):
        return top
    return top + log(sum(weight * exp(value - top) for value, weight in zip(logs, weights, strict=True)))
