"""What does the evidence of a release look like? Draws docs/releases.svg from two simulated ones.

Run it with `python -m benchmarks.draw_release`.
"""

from __future__ import annotations

from datetime import timedelta
from math import log
from pathlib import Path

import numpy as np

from benchmarks.release import START, Setting, Stream, Trial, plan_of, sixfold
from serin.release.next_step import Move
from serin.release.sequential import BREACH_LEVEL, PASS_LEVEL

OUT = Path(__file__).parents[1] / "docs" / "releases.svg"
WIDTH, HEIGHT, HOURS = 640, 240, 10.0
Curve = list[tuple[float, float, float, float]]


def follow(worse_by: float, *, seed: int) -> tuple[Curve, Move]:
    """Simulate one release: hours, weight, and how far its bets on pass and on breach have come."""
    setting = Setting("", sixfold(0.005, worse_by))
    trial = Trial(plan_of(setting))
    stream, now, curve = Stream(setting, np.random.default_rng(seed)), START, [(0.0, trial.weight, 0.0, 0.0)]
    while trial.ended is None:
        now += timedelta(minutes=setting.turn_minutes)
        weight = trial.weight
        trial.turn(now, stream([trial], now)[0])
        tally = trial.tallies["error"]
        passing, breach = tally.passing / log(1 / PASS_LEVEL), tally.worst / log(1 / BREACH_LEVEL)
        curve.append(((now - START).total_seconds() / 3600, weight, passing, breach))
    return curve, trial.ended


def x(hours: float) -> float:
    return 60 + hours / HOURS * (WIDTH - 80)


def y(bet: float) -> float:
    return 150 - min(max(bet, -0.4), 1.15) * 110


def line(points: list[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x(hours):.0f},{y(bet):.0f}" for hours, bet in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def text(left: float, top: float, words: str, colour: str = "#333", anchor: str = "start") -> str:
    return f'<text x="{left:.0f}" y="{top:.0f}" fill="{colour}" text-anchor="{anchor}">{words}</text>'


def main() -> None:
    equal, promoted = follow(0.0, seed=4)
    worse, rolled_back = follow(0.02, seed=4)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"',
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    since = 0.0
    for (hours, weight, *_), (_, following, *_) in zip(equal, [*equal[1:], after(equal)], strict=True):
        if following != weight:
            shade = f'fill="#2563eb" opacity="{weight / 4 + 0.03:.2f}"'
            parts.append(f'<rect x="{x(since):.0f}" y="24" width="{x(hours) - x(since):.0f}" height="170" {shade}/>')
            parts.append(text((x(since) + x(hours)) / 2, 208, f"{weight:.0%}", anchor="middle"))
            since = hours
    parts += [
        f'<path d="M60 {y(1):.0f}H{WIDTH - 20}" stroke="#666" stroke-dasharray="4 3"/>',
        f'<path d="M60 {y(0):.0f}H{WIDTH - 20}" stroke="#bbb"/>',
        text(54, y(1) + 4, "enough", anchor="end"),
        text(54, y(0) + 4, "start", anchor="end"),
        line([(hours, passing) for hours, _, passing, _ in equal], "#15803d"),
        line([(hours, breach) for hours, _, _, breach in worse], "#b91c1c"),
        text(x(equal[-1][0]) - 4, y(1) - 8, f"as good: {promoted}", "#15803d", "end"),
        text(x(worse[-1][0]) + 6, y(1) - 8, f"two points worse: {rolled_back}", "#b91c1c"),
        text(60, 14, "a bet on pass and a bet on breach, while the base rate rises from 0.5% to 3%"),
        text(x(HOURS / 2), 228, f"the challenger's share of entities, over {HOURS:.0f} hours", anchor="middle"),
        "</svg>\n",
    ]
    OUT.write_text("\n".join(parts))


def after(curve: Curve) -> tuple[float, float, float, float]:
    """An end after the last point, so that the last stretch of one weight ends too."""
    hours, _, passing, breach = curve[-1]
    return hours, -1.0, passing, breach


if __name__ == "__main__":
    main()
