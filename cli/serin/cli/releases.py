"""How does a release stand? Its weight and its evidence as bars, and how much longer it may take."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from math import inf, isfinite
from typing import Any

from serin.aws.cloud import Cloud
from serin.cli.show import Output, wrap
from serin.client.progress import Progress
from serin.client.releases import headline, rolled_back_at, ways_to_answer
from serin.client.words import moment
from serin.errors import Unavailable
from serin.registry.records import HistoryEntry, Release, ReleaseStatus, Route
from serin.release.evidence import StoredEvidence, StoredReplay
from serin.release.forecast import in_words, minutes_left
from serin.release.next_step import Move
from serin.release.plan import Plan, resolve_plan
from serin.release.sequential import Block

BAR = 20
ENDS_WELL = (Move.PROMOTE, "watched", "watch ended")


def tell_releases(output: Output, cloud: Cloud, model: str) -> list[dict[str, Any]]:
    """Tell of all releases of a model, the oldest first, and more of the one that is under way."""
    releases, history = cloud.registry.releases(model), cloud.registry.history(model)
    rolled_back = {release.id: rolled_back_at(release, history) for release in releases}
    output.table(
        ("release", "status", "strategy", "started", "took", "why"),
        [
            (
                release.id,
                f"{release.status}, rolled back on {at[:10]}" if (at := rolled_back[release.id]) else release.status,
                release.strategy,
                moment(release.started_at),
                _duration(release),
                release.reason,
            )
            for release in releases
        ],
    )
    for release in releases:
        if release.status.is_under_way:
            for line in view(cloud, release):
                output.say(line)
    if not releases:
        output.say(
            f"no release yet; a version that passes its gates is released by itself, or: serin release {model}@1"
        )
    return [asdict(release) | {"rolled_back_at": rolled_back[release.id]} for release in releases]


def follow(output: Output, cloud: Cloud, model: str) -> None:
    """Show the release that is under way, and those that waited for its end, until none is."""
    while live_id := cloud.registry.releasing(model).value.live:
        follow_release(output, cloud, model, live_id)


def follow_release(
    output: Output, cloud: Cloud, model: str, name: str, *, every_seconds: float = 1.0, timeout_seconds: float = inf
) -> Release:
    """Tell each move of a release until it ends; and how it stands, below them on a terminal, else when it asks.

    Raises Unavailable after the time-out.
    """
    from rich.console import Console
    from rich.live import Live

    # A console of its own, for the output's leaves it to the terminal to wrap: a live place cuts such lines.
    place = Live(console=Console(highlight=False, markup=False, emoji=False), auto_refresh=False, transient=True)
    show = place.console.print if output.is_terminal else output.say
    width, progress = output.width, Progress(output.say)
    shown, asking, deadline = set[str](), "", time.monotonic() + timeout_seconds
    with place if output.is_terminal else nullcontext():
        while True:
            release = cloud.registry.release(model, name).value  # before the history, which then has its last move
            for entry in cloud.registry.history(model):
                if entry.release == name and entry.id not in shown:
                    shown.add(entry.id)
                    show("\n".join(_move(entry, width)))
            if not release.status.is_under_way:
                return release
            if output.is_terminal:
                place.update(
                    "\n".join(line for text in view(cloud, release) for line in wrap(text, width)), refresh=True
                )
            elif release.is_asking and release.asked != asking:
                asking = release.asked
                show("\n".join([headline(release), *ways_to_answer(release)]))
            else:
                progress.tell(f"the end of release {name}", headline(release), is_news=False)
            if time.monotonic() >= deadline:
                raise Unavailable(f"release {name} of {model} goes on after {timeout_seconds:g} s: {release.reason}")
            time.sleep(every_seconds)


def _move(entry: HistoryEntry, width: int) -> list[str]:
    """Tell one move: the share of entities that ask the version after it, what both arms answered so far, and why."""
    weight = float(entry.evidence.get("weight", entry.move in ENDS_WELL))
    evidence = StoredEvidence.read(entry.evidence)
    units = {"challenger": evidence.challenger_units, "champion": evidence.champion_units}
    answered = "  units " + ", ".join(f"{arm} {count:,}" for arm, count in units.items()) if any(units.values()) else ""
    why = wrap(" " * 13 + entry.reason, width, hang=0)
    return [f"  {entry.move:<9}  {bar(weight)} {weight:>4.0%}{answered}", *why]


def _duration(release: Release) -> str | None:
    if not release.ended_at:
        return None
    started, ended = map(datetime.fromisoformat, (release.started_at, release.ended_at))
    return in_words((ended - started).total_seconds())


def view(cloud: Cloud, release: Release) -> list[str]:
    """Say in lines how a release stands. A bar of a question is full where it breaches, or passes."""
    is_first = release.champion_before is None
    return [headline(release), *([] if is_first else _comparison(cloud, release)), *ways_to_answer(release)]


def _comparison(cloud: Cloud, release: Release) -> list[str]:
    """Say in lines how the challenger compares so far."""
    contract = cloud.registry.run(release.model, cloud.registry.version(release.model, release.version).value.run)
    plan = resolve_plan(contract.value.contract["release"], seconds_per_plan_minute=cloud.seconds_per_minute)
    route = cloud.registry.route(release.model)
    weight = _weight(release, route.value if route else None)
    evidence = StoredEvidence.read(release.evidence)
    has_trial = plan.steps or release.status is ReleaseStatus.WATCHING
    lines = (
        [
            f"  weight   {bar(weight)} {weight:.0%}",
            f"  units    challenger {evidence.challenger_units:,}, champion {evidence.champion_units:,}; "
            f"each needs {plan.min_requests:,}",
        ]
        if has_trial
        else []
    )
    for question, finding in evidence.questions.items() if has_trial else ():
        lines += [
            f"  {question:<8} {_events(finding.seen)}",
            f"  {'':<8} {bar(finding.breach)} to a breach  {bar(finding.passing)} to a pass",
        ]
    if (shadow := evidence.shadow).compared:
        lines.append(f"  shadow   disagrees on {shadow.disagreeing:,} of {shadow.compared:,} requests")
    if "wrong" in plan.margins and (feedback := evidence.feedback):
        lines.append(f"  feedback on {feedback.joined:,} of these units, and on {feedback.others:,} other predictions")
    if replayed := _replay(release, evidence.replay):
        lines.append(f"  replay   {replayed}")
    if release.status is ReleaseStatus.LIVE and plan.steps and not release.is_asking:
        lines.append(f"  forecast {_forecast(plan, release)}")
    return lines


def bar(share: float) -> str:
    """Draw a share from 0 to 1."""
    full = round(min(max(share, 0.0), 1.0) * BAR) if isfinite(share) else 0
    return "█" * full + "░" * (BAR - full)


def _weight(release: Release, route: Route | None) -> float:
    """The share of entities that ask the release's version now."""
    if route is None or route.challenger is None:
        return 1.0 if release.status is ReleaseStatus.WATCHING else 0.0
    lease = route.challenger.lease_until
    is_leased = bool(lease) and datetime.fromisoformat(lease) > datetime.now(UTC)
    weight = route.challenger.weight if is_leased else 0.0
    return 1 - weight if release.status is ReleaseStatus.WATCHING else weight


def _replay(release: Release, replay: StoredReplay) -> str:
    """Say what the replay of captured requests showed; nothing where there was none."""
    if not replay.compared:
        return replay.finding
    both = f"{release.model}@{release.champion_before} {release.model}@{release.version}"
    return f"disagrees on {replay.disagreeing:,} of {replay.compared:,} requests; look: serin diff {both}"


def _events(seen: Block) -> str:
    return (
        f"challenger {seen.challenger_events:,} of {seen.challenger_units:,}, "
        f"champion {seen.champion_events:,} of {seen.champion_units:,}"
    )


def _forecast(plan: Plan, release: Release) -> str:
    left = minutes_left(plan, release, datetime.now(UTC))
    if not isfinite(left) or release.reason.startswith("no traffic"):
        return f"none without traffic: it waits for requests to {release.model}"
    return f"about {in_words(left * plan.minute_seconds)} more, if as many ask as until now and both are equally good"
