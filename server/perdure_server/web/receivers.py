"""What of a project receives requests of others, and which of it a URL means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from perdure_server.manifest.triggers import Trigger, Webhook


@dataclass(frozen=True, slots=True)
class Found:
    """A webhook of an active deployment. `suffix`: what follows its own path, without a slash before it.

    `secret`: what its requests are signed with, where whoever looked knows it.
    """

    project: str
    deployment_id: str
    trigger: Trigger
    webhook: Webhook
    suffix: str
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """A trigger that is a webhook, its secret slug, and the value of the variable that its requests are signed with."""

    trigger: Trigger
    slug: str
    secret: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection whose service sends events to the address with this secret slug.

    `signing`: a kind of `manifest.triggers.Signature`. `secret`: what its requests are signed with; empty where none
    was set. `header`: which one carries the signature, where the kind leaves that open. `theirs`: its events have the
    form that AutoKitteh gives them, because the project is one of AutoKitteh's.
    """

    project: str
    name: str
    integration: str
    slug: str
    signing: str
    secret: str
    header: str
    theirs: bool = False


@dataclass(frozen=True, slots=True)
class Receivers:
    """Webhooks of one project's active deployment, and its connections, which need none."""

    project: str
    deployment_id: str
    each: tuple[Receiver, ...]
    connections: tuple[Connected, ...] = ()

    def slugs(self) -> Iterator[str]:
        """First parts of addresses that are of this project, beside its name."""
        yield from (one.slug for one in self.each if one.slug)
        yield from (one.slug for one in self.connections)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        each = [{"trigger": one.trigger.to_json(), "slug": one.slug, "secret": one.secret} for one in self.each]
        connections = [asdict(one) for one in self.connections]
        return {
            "project": self.project,
            "deployment_id": self.deployment_id,
            "each": each,
            "connections": connections,
        }

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Self:
        """From what `to_json` made."""
        each = (Receiver(Trigger.of_json(one["trigger"]), one["slug"], one["secret"]) for one in told["each"])
        connections = (Connected(**one) for one in told["connections"])
        return cls(told["project"], told["deployment_id"], tuple(each), tuple(connections))


def resolve(tables: Sequence[Receivers], path: str) -> Found | None:
    """What `SLUG[/SUFFIX]` or `PROJECT/PATH[/SUFFIX]` means, by the tables of whatever its first part may name."""
    first, _, rest = path.partition("/")
    for table in tables:
        if table.project == first and (found := _by_path(table, rest)) is not None:
            return found
    for table in tables:
        for one in table.each:
            if one.slug == first and one.trigger.webhook is not None:
                return _found(table, one, one.trigger.webhook, rest)
    return None


def connection_of(tables: Sequence[Receivers], slug: str) -> Connected | None:
    """The connection at `/connections/SLUG`."""
    return next((one for table in tables for one in table.connections if one.slug == slug), None)


def _by_path(table: Receivers, path: str) -> Found | None:
    trigger, suffix = longest((one.trigger for one in table.each), path)
    for one in table.each:
        if one.trigger is trigger and trigger.webhook is not None:
            return _found(table, one, trigger.webhook, suffix)
    return None


def _found(table: Receivers, one: Receiver, webhook: Webhook, suffix: str) -> Found:
    return Found(table.project, table.deployment_id, one.trigger, webhook, suffix, one.secret)


def longest(triggers: Iterable[Trigger], path: str) -> tuple[Trigger | None, str]:
    """The webhook with the longest path that `path` is, or begins with, and what is left of it."""
    best: Trigger | None = None
    suffix, length = "", 0
    for trigger in triggers:
        own = trigger.webhook.path.strip("/") if trigger.webhook else ""
        if len(own) > length and f"{path}/".startswith(f"{own}/"):
            best, length, suffix = trigger, len(own), path[len(own) + 1 :]
    return best, suffix
