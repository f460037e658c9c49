"""Several threads that wait for what one socket brings, and signals that must not cut what is half done."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator

import pytest
from perdure_runner import frames
from perdure_runner.child.link import Link
from perdure_runner.child.reading import Guard


class Interrupted(Exception):
    """What a signal raises."""


@pytest.fixture
def pair() -> Iterator[tuple[Link, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield Link(ours), theirs
    ours.close()
    theirs.close()


def host(theirs: socket.socket, count: int, *, backwards: bool = False) -> threading.Thread:
    """Answers so many questions with their own bodies once all have come, and acknowledges all records before."""

    def serve() -> None:
        parser, asked, last = frames.Parser(), [], 0
        while len(asked) < count:
            for header, payload in parser.feed(theirs.recv(1 << 16)):
                if header["t"] == "ask":
                    asked.append((header["id"], payload))
                else:
                    last = header["no"]
        for number, body in reversed(asked) if backwards else asked:
            theirs.sendall(frames.encode({"t": "answer", "id": number, "refused": 0}, body))
        theirs.sendall(frames.encode({"t": "ack", "no": last}))

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize("backwards", [False, True])
def test_every_thread_gets_its_own_answer_and_the_reader_what_it_waits_for(
    pair: tuple[Link, socket.socket], backwards: bool
) -> None:
    link, theirs = pair
    served = host(theirs, 8, backwards=backwards)
    record = link.record({"lane": "main", "ord": 1, "kind": 3}, sync=True)
    answers: dict[int, object] = {}

    def ask(number: int) -> None:
        answers[number] = json.loads(link.ask("op", json.dumps({"n": number}).encode())[1])["n"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    link.wait_acked(record)
    for thread in [*threads, served]:
        thread.join()
    assert answers == {number: number for number in range(8)}


def test_a_signal_interrupts_a_question_and_its_answer_is_not_kept(pair: tuple[Link, socket.socket]) -> None:
    link, theirs = pair

    def interrupt(_number: int, _frame: object) -> None:
        if not link.guard.postpone(stop):
            stop()

    def stop() -> None:
        raise Interrupted

    def interrupt_who_asks(main: int = threading.get_ident()) -> None:
        theirs.recv(1, socket.MSG_PEEK)
        signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        interrupting = threading.Thread(target=interrupt_who_asks)
        interrupting.start()
        with pytest.raises(Interrupted):
            link.ask("op", b"{}")
        interrupting.join()
        assert not link._answers
    finally:
        signal.signal(signal.SIGUSR1, before)
    theirs.sendall(frames.encode({"t": "answer", "id": 1, "refused": 0}, b"1"))
    served = host(theirs, 3)  # the first is that of the interrupted one
    other = threading.Thread(target=lambda: link.ask("op", b"2"))
    other.start()
    assert link.ask("op", b"3")[1] == b"3"
    other.join()
    served.join()
    assert not link.guard.busy


def test_what_a_signal_wants_done_waits_until_nothing_is_half_done() -> None:
    guard, done = Guard(), []
    assert not guard.postpone(lambda: done.append("now"))
    guard.close()
    assert guard.postpone(lambda: done.append("later"))
    assert done == []
    guard.open()
    guard.open()
    assert done == ["later"]
    other = threading.Thread(target=guard.close)
    other.start()
    other.join()
    assert not guard.busy
