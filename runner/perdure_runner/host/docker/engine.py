"""The Docker Engine, through the `docker` SDK: blocking, so every call runs in a thread of a pool of our own."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from perdure_runner.host.backend import BackendError

T = TypeVar("T")

_THREADS = 8
_CALL_S = 60.0  # for one answer of the engine; images come and go in longer ones
_REMEDY = "start the Docker Engine, or name its socket with DOCKER_HOST or the setting docker_url"


class EngineError(BackendError):
    """The engine does not answer, or not with what was asked for. Trying again may help."""

    code = ""


class NoEngineError(EngineError):
    """There is no engine, no SDK for it, or no base image: a person has to do something. Its help says what."""

    code = "P0219"

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.help = remedy


class GoneError(NoEngineError):
    """Nobody listens at its address: it is not slow, it does not run."""


class NotThereError(EngineError):
    """The engine has no such image or container."""


class Engine:
    """One engine. `call` awaits what `ask` does at once, for programs that have nothing else to do."""

    def __init__(self, url: str = "", call_s: float = _CALL_S) -> None:
        """`call_s`: for one answer. Raises NoEngineError: the SDK is not installed."""
        try:
            import docker  # type: ignore[import-untyped]
        except ImportError:
            raise NoEngineError("the docker SDK is not installed", "pip install 'perdure[docker]'") from None
        self._docker = docker
        self._url = url
        self._call_s = call_s
        self._clients = threading.local()  # one a thread: the SDK does not promise to be safe in several
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")
        self._calls: set[Future[Any]] = set()  # that a thread is at, or will be

    @property
    def busy(self) -> bool:
        """Whether it is at a call, maybe one that nobody waits for any more."""
        return bool(self._calls)

    async def call(self, work: Callable[[Any], T]) -> T:
        """Await `work(client)`, done in a thread; errors as of `ask`. Cancelling stops nothing that has begun."""
        asked = self._threads.submit(self.ask, work)
        self._calls.add(asked)
        asked.add_done_callback(self._calls.discard)
        return await asyncio.wrap_future(asked)

    def ask(self, work: Callable[[Any], T]) -> T:
        """Give `work(client)`, where `client` is a `docker.DockerClient`.

        Raises:
            NoEngineError: nobody answers at its address; GoneError: nobody is there.
            NotThereError, EngineError: it refuses.
        """
        with self._translated():
            return work(self._client())

    def close(self) -> None:
        """Let the threads end; calls that nobody began are forgotten."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _client(self) -> Any:
        client = getattr(self._clients, "client", None)
        if client is None:
            if self._url:
                client = self._docker.DockerClient(base_url=self._url, timeout=self._call_s)
            else:
                client = self._docker.from_env(timeout=self._call_s)
            self._clients.client = client
        return client

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        from requests.exceptions import RequestException

        errors = self._docker.errors
        try:
            yield
        except errors.NotFound as error:
            raise NotThereError(str(error.explanation or error)) from None
        except errors.APIError as error:
            raise EngineError(f"the Docker Engine refuses: {error.explanation or error}") from None
        except (errors.DockerException, RequestException, OSError) as error:
            kind = GoneError if _nobody_listens(error) else NoEngineError
            raise kind(f"no Docker Engine answers: {_shortly(error)}", _REMEDY) from None


def _nobody_listens(error: BaseException | None) -> bool:
    """Whether an error began with an address that is not there, or where nobody takes connections."""
    while error is not None and not isinstance(error, ConnectionRefusedError | FileNotFoundError):
        error = error.__cause__ or error.__context__
    return error is not None


def _shortly(error: BaseException) -> str:
    """The innermost reason: the SDK wraps an ENOENT four times."""
    text = str(error)
    return text if len(text) < 200 else f"{text[:200]}..."
