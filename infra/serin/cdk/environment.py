"""What differs between local, dev, staging and prod, and what is everything called there?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from serin.shipped.environments import MOST_LETTERS, NAME, NAME_RULE, stack_name

UNKNOWN_ACCOUNT = "000000000000"  # lets a template be made with no AWS account at hand


class UnknownEnvironment(Exception):
    """When `-c env=…` names an environment that cdk.json does not have."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"there is no environment {name!r}; cdk.json has {', '.join(known)}")


class BadEnvironment(Exception):
    """When an environment's entry in cdk.json lacks a setting, or has one that nothing reads."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"cdk.json, environment {name!r}: {reason}")


@dataclass(frozen=True, slots=True)
class Days:
    """How many days things are kept, and no longer, in any version.

    endpoint_logs: the endpoint's own, in which each captured prediction stands too. uploads: with what was set aside of
    them. batches: what was sent, and the answers. summaries: what captures sum up to. old_versions: what was
    overwritten or deleted of uploads, and of what is kept for ever: models, datasets, receipts, drift reports.
    """

    logs: int
    endpoint_logs: int
    uploads: int
    runs: int
    batches: int
    captures: int
    summaries: int
    old_versions: int


@dataclass(frozen=True, slots=True)
class Requests:
    """How many requests one API key, and the whole API, may send."""

    per_second: int
    burst: int


LEAST_DISK_MB, MOST_DISK_MB = 512, 10_240


@dataclass(frozen=True, slots=True)
class Size:
    """How much memory a function has (which also sets its share of CPU), how long it may take, and its disk in /tmp."""

    memory_mb: int
    timeout_seconds: int
    disk_mb: int = LEAST_DISK_MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One entry of cdk.json's `environments`, filled up from its `defaults`.

    prefix: with what every name here begins; two projects of one account and region need two. account: twelve digits.
    tags: what every resource is tagged with, those of `defaults` too. retain: whether deleting the stack leaves buckets
    and table in place, with what is in them. protect: whether the stack and the table refuse to be deleted at all.
    bundle: whether third-party packages are built into layers; where they are not, functions run with
    the packages of whoever runs them. arrival_seconds: how long captures take from the endpoint into a
    summary, such as fail once included; a release waits so long until it takes a minute for complete.
    visibility_seconds: how long a message stays hidden from other readers; without it, six times as long
    as its function may take. sizes: by function; `others` for those that cdk.json does not name.
    """

    name: str
    account: str
    region: str
    runtime: str
    architecture: str
    retain: bool
    bundle: bool
    tracing: bool
    log_level: str
    alarms_email: str | None
    seconds_per_plan_minute: int
    arrival_seconds: int
    visibility_seconds: int | None
    days: Days
    requests: Requests
    sizes: Mapping[str, Size]
    prefix: str
    tags: Mapping[str, str]
    protect: bool

    @classmethod
    def read(cls, name: str, *, context: Mapping[str, Any], default_account: str | None) -> Self:
        """Find the environment in the context of cdk.json, and check it.

        Raises UnknownEnvironment or BadEnvironment.
        """
        known = context["environments"]
        if name not in known:
            raise UnknownEnvironment(name, list(known))
        settings = {"name": name, **context["defaults"], **known[name]}
        expected = {setting.name for setting in fields(cls)}
        if missing := expected - settings.keys():
            raise BadEnvironment(name, f"lacks {', '.join(sorted(missing))}")
        if unread := settings.keys() - expected:
            raise BadEnvironment(name, f"nothing reads {', '.join(sorted(unread))}")
        settings["account"] = settings["account"] or default_account or UNKNOWN_ACCOUNT
        exceptions = known[name].get("sizes", {})
        usual = context["defaults"]["sizes"]
        try:
            settings["days"] = Days(**settings["days"])
            settings["requests"] = Requests(**settings["requests"])
            settings["sizes"] = {
                function: Size(**usual["others"] | usual.get(function, {}) | exceptions.get(function, {}))
                for function in usual.keys() | exceptions.keys()
            }
        except TypeError as error:
            raise BadEnvironment(name, str(error)) from error
        if not isinstance(settings["tags"], Mapping):
            raise BadEnvironment(name, 'tags: give each a name and a text, as in {"team": "credit"}')
        environment = cls(**settings)
        environment._check_names()
        environment._check_days()
        environment._check_disks()
        return environment

    def _check_names(self) -> None:
        for what, value in (("its name", self.name), ("prefix", self.prefix)):
            if not isinstance(value, str) or not NAME.fullmatch(value):
                raise BadEnvironment(self.name, f"{what} is {value!r}, but names take {NAME_RULE}")
        if (letters := len(self.stack)) > MOST_LETTERS:
            reason = f"{self.stack!r}, with which names begin, has {letters} characters"
            raise BadEnvironment(self.name, f"{reason}; at most {MOST_LETTERS} let buckets be named: shorten prefix")
        if wrong := [key for key, value in self.tags.items() if not isinstance(value, str)]:
            raise BadEnvironment(self.name, f"tags: the value of {', '.join(wrong)} must be a text")

    def _check_days(self) -> None:
        days = self.days
        if days.old_versions >= days.uploads:
            raise BadEnvironment(self.name, "days: old_versions must be fewer than uploads, of which they are the last")
        if min(days.runs, days.batches, days.captures, days.summaries) < 2:
            raise BadEnvironment(self.name, "days: at least 2, of which the last one is as an old version")
        if days.endpoint_logs > days.captures:
            raise BadEnvironment(self.name, "days: endpoint_logs hold captures, so that they must not be more")

    def _check_disks(self) -> None:
        for function, size in self.sizes.items():
            if not LEAST_DISK_MB <= size.disk_mb <= MOST_DISK_MB:
                reason = f"sizes: disk_mb of {function} is {size.disk_mb}; Lambda has {LEAST_DISK_MB} to {MOST_DISK_MB}"
                raise BadEnvironment(self.name, reason)

    @property
    def stack(self) -> str:
        """Name the stack of everything that can be made again: `<prefix>-<env>`."""
        return stack_name(self.prefix, self.name)

    def named(self, what: str) -> str:
        """Name a resource: `<prefix>-<env>-<what>`."""
        return f"{self.stack}-{what}"

    @property
    def metrics(self) -> str:
        """Name the namespace of what functions count: an account's environments must not ring each other's alarms."""
        return f"{self.prefix.capitalize()}/{self.name}"

    def size_of(self, function: str) -> Size:
        """Look up how large a function is."""
        return self.sizes.get(function, self.sizes["others"])

    # What is stateful has a name that follows from the environment alone: the other stack finds it by
    # that name, so that no CloudFormation export ties the two together.

    @property
    def artifacts_bucket(self) -> str:
        """Name the bucket of models."""
        return f"{self.named('artifacts')}-{self.account}-{self.region}"

    @property
    def data_bucket(self) -> str:
        """Name the bucket of everything else."""
        return f"{self.named('data')}-{self.account}-{self.region}"

    @property
    def table(self) -> str:
        """Name the table."""
        return self.stack
