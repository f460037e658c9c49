"""A session in miniature for tests of handles: the real table and codec, a list for a journal, no processes."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Callable
from typing import Any

import perdure
from perdure_runner.child.handles import Table
from perdure_runner.child.patching.sites import SiteInfo
from perdure_runner.child.policy.policy import Policy
from perdure_runner.child.values.codec import Codec, Encoded

CODEC = Codec(b"key of the tests", 1 << 20)
SITE = SiteInfo("handlers.py", 12, 5, None)
USER = "user code of the tests"


class Session:
    """Runs calls and records them; with a journal, it replays that first, as a new process would."""

    def __init__(self, journal: list[tuple[str, str, Encoded, bool]] | None = None, dies_after: int = -1) -> None:
        self.journal = list(journal or [])
        self._dies_after = dies_after
        self.values = CODEC
        self.refusal = ""
        self.ran: list[str] = []
        self._made = 0
        self._inside = 0
        self.table = Table(self, self, Policy(lambda file: file == USER))  # type: ignore[arg-type]

    @property
    def names(self) -> list[str]:
        return [f"{kind} {name}" for kind, name, _, _ in self.journal]

    def call(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What an external call in user code does."""
        if self.direct():
            return f(*args, **kwargs)
        return self.perform(self.table.policy.name(f), f, SITE, args, kwargs)

    def direct(self) -> bool:
        return self._inside > 0 and not self.refusal

    def perform(self, name: str, f: Any, site: Any, args: Any, kwargs: Any) -> Any:
        return self._outcome("activity", name, f, args, kwargs, self.table.unwrap)

    def marker(self, name: str, f: Any, site: Any, args: Any, kwargs: Any) -> Any:
        return self._outcome("marker", name, f, args, kwargs, lambda args, kwargs: (args, kwargs))

    async def perform_async(self, name: str, f: Any, site: Any, args: Any, kwargs: Any) -> Any:
        place = self._begin(f, args, kwargs)
        if self._made > len(self.journal):
            with self._running(name):
                a, k = self.table.unwrap(args, kwargs)
                self._put("activity", name, await f(*a, **k), place, failed=False)
        return self._told(place)

    def _outcome(self, kind: str, name: str, f: Any, args: Any, kwargs: Any, unwrap: Any) -> Any:
        place = self._begin(f, args, kwargs)
        if self._made > len(self.journal):
            try:
                with self._running(name):
                    a, k = unwrap(args, kwargs)
                    value, failed = f(*a, **k), False
            except Exception as error:
                value, failed = error, True
            self._put(kind, name, value, place, failed=failed)
        else:
            assert self.journal[self._made - 1][:2] == (kind, name)
        return self._told(place)

    def _begin(self, f: Any, args: Any, kwargs: Any) -> Any:
        if self.refusal:
            raise perdure.HandleLost(self.refusal)
        self._made += 1
        return self.table.of("main", self._made, SITE, f, args, kwargs)

    @contextlib.contextmanager
    def _running(self, name: str) -> Any:
        if len(self.journal) == self._dies_after:
            raise Crash
        self.ran.append(name)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def _put(self, kind: str, name: str, value: Any, refs: Any, *, failed: bool) -> None:
        encode = self.values.encode_error if failed else self.values.encode
        self.journal.append((kind, name, encode(value, refs), failed))

    def _told(self, refs: Any) -> Any:
        _, _, encoded, failed = self.journal[self._made - 1]
        value = self.values.decode(encoded.encoding, encoded.data, encoded.mac, refs)
        if failed:
            raise value  # type: ignore[misc]
        return value


class Crash(BaseException):
    """The process of a session dies."""


def at_every_entry(program: Callable[[Session], Any], reset: Callable[[], Any] = lambda: None) -> Any:
    """Run `program` undisturbed, then with a crash after each of its entries: the results must be equal. Returns it."""
    reset()
    whole = Session()
    result = program(whole)
    for entries in range(len(whole.journal)):
        reset()
        dying = Session(dies_after=entries)
        with contextlib.suppress(Crash):
            program(dying)
        assert program(Session(dying.journal)) == result, f"after {whole.names[:entries]}"
    return result


def library(name: str, source: str) -> types.ModuleType:
    """A module that is not the user's."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"/lib/site-packages/{name}.py", "exec"), module.__dict__)
    return module


def user_function(source: str, name: str, **known: Any) -> Any:
    """A function of the project's."""
    namespace: dict[str, Any] = {"__name__": "handlers", **known}
    exec(compile(source, USER, "exec"), namespace)
    return namespace[name]
