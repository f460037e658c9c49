"""An outside world that holds its answers back, so that sessions stay inside a call for as long as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from support.effects import EffectServer

PATIENCE_S = 120.0


class Held(EffectServer):
    """Counts, in order, and answers the calls that `holds(run, number)` names only when `free` is set."""

    def __init__(self, address: str, holds: Callable[[str, int], bool]) -> None:
        super().__init__(address)
        self.free = threading.Event()
        self.order: list[tuple[str, int]] = []
        self._holds = holds

    def count(self, run: str, request: str, key: str | None) -> int:
        number = int(request.rpartition("/")[2])
        self.order.append((run, number))
        times = super().count(run, request, key)
        if self._holds(run, number):
            self.free.wait(PATIENCE_S)
        return times

    def seen(self, run: str) -> list[int]:
        """The numbers of a run's calls, in the order of their arrival."""
        return [number for by, number in self.order if by == run]


@contextmanager
def outside(holds: Callable[[str, int], bool], address: str = "127.0.0.1") -> Iterator[Held]:
    """The outside world, for the length of the block."""
    with Held(address, holds) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.free.set()
            server.shutdown()
            thread.join()


def handler(calls: int) -> str:
    """A project's main.py: so many calls, one after the other."""
    return f"""
    from urllib.request import urlopen

    import perdure

    @perdure.activity
    def call(url):
        with urlopen(url, timeout=300) as answer:
            return answer.read().decode()

    def main(event):
        return [call(f"{{event['url']}}/{{number}}") for number in range({calls})]
    """


MANIFEST = """
    name: p
    network: all
    """
