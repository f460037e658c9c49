"""What a manifest says about triggers: how events come about, and which sessions they start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from perdure_server.manifest.plain import of_json

TriggerType = Literal["webhook", "schedule", "connection"]
SignatureKind = Literal["github", "slack", "stripe", "discord", "generic"]
CatchUp = Literal["none", "last", "all"]
Overlap = Literal["allow", "skip", "queue", "cancel_old"]
Over = Literal["delay", "drop"]

BODY_BYTES: Final = 1024 * 1024
ANSWER_S: Final = 30.0
TOLERANCE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Signature:
    """How a request proves who sent it. `secret` names the variable that has the key (of Discord: the public one).

    All but `kind` and `secret` are of "generic" alone, but for `tolerance_s`, the age up to which a signed time is
    accepted where the scheme has one.
    """

    kind: SignatureKind
    secret: str
    header: str = ""
    algorithm: str = "sha256"  # of the HMAC: sha1, sha256, sha512
    encoding: str = "hex"  # of the digest: hex, base64
    prefix: str = ""  # text before the digest, as "sha256="
    tolerance_s: float = TOLERANCE_S


@dataclass(frozen=True, slots=True)
class Webhook:
    """`path` empty: only the secret slug. `methods` are upper-case; empty: any. `cors` are origins, or "*".

    `keep_headers`: names, in lower case, of headers that prove who sends and are in the event all the same; "*": all.
    """

    path: str = ""
    methods: tuple[str, ...] = ()
    signature: Signature | None = None
    dedup_header: str = ""  # requests with the same value are the same event
    max_bytes: int = BODY_BYTES
    cors: tuple[str, ...] = ()
    keep_headers: tuple[str, ...] = ()
    timeout_s: float = ANSWER_S  # that a synchronous one waits for an outcome


@dataclass(frozen=True, slots=True)
class Schedule:
    """`text` is what `core.cron` takes; `timezone` a name of the tz database."""

    text: str
    timezone: str = "UTC"
    catch_up: CatchUp = "last"  # of the times that passed while there was no coordinator
    overlap: Overlap = "allow"
    jitter_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Concurrency:
    """Sessions at once of this trigger, or of each value of `key` (an expression over the event)."""

    limit: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` sessions in `per_s` seconds."""

    limit: int
    per_s: float
    over: Over = "delay"
    key: str = ""


@dataclass(frozen=True, slots=True)
class Debounce:
    """The newest event counts, once `for_s` passed without another one, or `max_s` since the first (0: no such end)."""

    for_s: float
    max_s: float = 0.0
    key: str = ""


@dataclass(frozen=True, slots=True)
class Trigger:
    """`call` empty: its events start nothing, they are there for sessions that subscribe to them.

    `connection` is the name of a connection of the manifest; `event_type` empty: all.
    """

    name: str
    type: TriggerType
    call: str = ""
    filter: str = ""
    durable: bool = True
    sync: bool = False
    webhook: Webhook | None = None  # of this type only; so are the next three
    schedule: Schedule | None = None
    connection: str = ""
    event_type: str = ""
    concurrency: Concurrency | None = None
    rate: Rate | None = None
    debounce: Debounce | None = None
    retry: int = 0  # more sessions that an event gets when the first one fails; then it is dead
    line: int = 0
    column: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Trigger:
        """From what `to_json` made."""
        return of_json(cls, data)
