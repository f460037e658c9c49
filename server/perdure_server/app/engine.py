"""`Engine`: a coordinator and a host on one loop of this process. The composition root of `perdure run`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.app import isolating
from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.settings import Faults, Settings
from perdure_server.secrets import Vault
from perdure_server.store import BlobStore, SessionKeys, Store
from perdure_server.store.home import usable

CAPACITY: Final = 64


class Engine:
    """An open home: `control` asks the coordinator, as clients of a server do by gRPC."""

    def __init__(self, home: Path, coordinator: Coordinator) -> None:
        self.home = home
        self.coordinator = coordinator
        self.control = Control(coordinator, str(home))

    @staticmethod
    @asynccontextmanager
    async def embedded(
        home: Path,
        *,
        settings: Settings | None = None,
        faults: Faults | None = None,
        recover: bool = True,
        capacity: int = CAPACITY,
        isolation: str = "own",
    ) -> AsyncIterator[Engine]:
        """Coordinator and host in this process, on `home`, for as long as the context lasts.

        `faults` is the fault injection of `settings`; without `recover`, sessions that were alive are left alone.
        Raises `PerdureError`: P0202 home in use, P0209 damaged, P0210 newer schema, P0220 a key is missing, P0237 home
        unusable.
        """
        chosen = _embedded_settings(settings, faults)
        async with AsyncExitStack() as stack:
            coordinator = await stack.enter_async_context(open_coordinator(home, chosen, recover=recover))
            with usable(home):
                await stack.enter_async_context(_host_beside(coordinator, home / "host", capacity, isolation))
            yield Engine(home, coordinator)

    @staticmethod
    @asynccontextmanager
    async def in_memory(
        scratch: Path, *, settings: Settings | None = None, faults: Faults | None = None
    ) -> AsyncIterator[Engine]:
        """As `embedded`, but the journal is in memory and ends with the context; `scratch` is for builds and blobs.

        Requirements are not installed: tests run where those of the project are.
        """
        async with AsyncExitStack() as stack:
            store = Store.memory()
            stack.callback(store.close)
            chosen = replace(_embedded_settings(settings, faults), environments=False)
            coordinator = Coordinator(store, BlobStore(scratch / "blobs"), SessionKeys.random(), chosen)
            stack.push_async_callback(coordinator.close)
            await coordinator.start(recover=False)
            await stack.enter_async_context(_host_beside(coordinator, scratch / "host", CAPACITY))
            yield Engine(scratch, coordinator)

    @staticmethod
    @asynccontextmanager
    async def read_only(home: Path) -> AsyncIterator[Control]:
        """To look at a home that nobody serves, or that somebody else does. Nothing can be changed."""
        store = Store.open(home, read_only=True)
        try:
            coordinator = Coordinator(store, BlobStore(home / "blobs"), SessionKeys.random())
            yield Control(coordinator, str(home))
        finally:
            store.close()

    async def wait_done(self, session_id: str) -> pb.Session:
        """The session, once it has ended. Raises `PerdureError` when it could not be stored."""
        request = pb.WatchSessionRequest(
            session_id=session_id, until_done=True, without_entries=True, without_logs=True
        )
        async for _update in self.control.watch_session(request):
            pass
        return await self.control.get_session(pb.GetSessionRequest(session_id=session_id))


def _embedded_settings(settings: Settings | None, faults: Faults | None) -> Settings:
    # Who runs code without a server, runs code of their own, and at once.
    settings = replace(
        settings or Settings(), isolate_scan=False, hosts_are_all=True, prepare=False, default_network="all"
    )
    return settings if faults is None else replace(settings, faults=faults)


@asynccontextmanager
async def _host_beside(
    coordinator: Coordinator, state_dir: Path, capacity: int, isolation: str = "own"
) -> AsyncIterator[None]:
    """A host in this process, joined to the coordinator."""
    # Only an engine with a host pays for the host's import; readers and the server do without.
    from perdure_runner.host.config import HostConfig, HostPatience

    from perdure_server.app.link import InProcessLink

    # Faults strike after single entries: none of them may travel with another.
    patience = HostPatience(linger_s=0) if coordinator.settings.faults else HostPatience()
    config = HostConfig(
        state_dir=state_dir,
        capacity=capacity,
        host_id="embedded",
        warm_seeds=(coordinator.hash_seed,),
        patience=patience,
        isolation=isolation,
    )
    await isolating.require(isolation, state_dir)
    link = InProcessLink(coordinator, config)
    try:
        await link.start()
        yield
    finally:
        await link.stop()


@asynccontextmanager
async def open_coordinator(home: Path, settings: Settings, *, recover: bool = True) -> AsyncIterator[Coordinator]:
    """Lock the home, open its store, and start the coordinator; the other way round at the end.

    Raises `PerdureError` as `Engine.embedded`.
    """
    async with AsyncExitStack() as stack:
        with usable(home):
            store = Store.open(home)
            stack.callback(store.close)
            vault = Vault.open(home)
            coordinator = Coordinator(store, BlobStore(home / "blobs"), SessionKeys.of(home), settings, vault=vault)
            stack.push_async_callback(coordinator.close)
            await coordinator.start(recover=recover)
        yield coordinator
