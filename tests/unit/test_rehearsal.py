"""The session that a zygote rehearses leaves the process as it was."""

import subprocess
import sys
import textwrap


def run(code: str, *arguments: str) -> str:
    """In a process of its own, as a zygote has it: imported, prepared for no session yet."""
    before = """
        import asyncio, atexit, concurrent.futures, gc, logging, os, queue, signal, sys, threading
        from perdure_runner.child import ground, process, rehearsal, zygote
        zygote.preload()
        ground.prepare()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(before) + textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def test_it_completes() -> None:
    """And says nothing on what was the zygote's output."""
    code = """
        import json, socket
        from perdure_runner import frames
        said = []
        real = socket.socketpair
        def pair():
            near, far = real()
            said.append(far.dup())
            return near, far
        socket.socketpair = pair
        assert rehearsal.rehearse(process.main) == 0
        last = frames.Parser().feed(said[0].recv(1 << 18))[-1]
        print(last[0]["t"], last[0]["state"], json.loads(last[1])[0])
    """
    assert run(code) == """done completed {"numbers": [0], "text": "one"}"""


def test_everything_is_as_it_was() -> None:
    code = """
        def state():
            places = [gc.get_threshold(), gc.isenabled(), [*gc.callbacks], os.getcwd(), dict(os.environ), [*sys.path]]
            seen = [*sys.meta_path, sys.stdout, sys.stderr, signal.getsignal(signal.SIGUSR1), sys.argv, *sys.argv]
            kinds = threading.Thread, logging.StreamHandler, concurrent.futures.Future
            made = [threading.Lock, threading.RLock, queue.SimpleQueue, signal.signal, gc.collect, asyncio.as_completed]
            methods = [(name, id(it)) for kind in kinds for name, it in vars(kind).items() if name[:2] != "__"]
            return places, seen, made, methods, threading.enumerate(), atexit._ncallbacks(), os.register_at_fork
        before, modules = state(), set(sys.modules)
        rehearsal.rehearse(process.main)
        assert state() == before
        assert not [name for name in sys.modules.keys() - modules if "rehearsed" in name]
        from perdure import _runtime
        print(_runtime.current, ground._recorder)
    """
    assert run(code) == "None None"


def test_the_session_after_it_is_like_one_without() -> None:
    code = """
        import socket
        from perdure_runner import frames
        if sys.argv[1:]:
            rehearsal.rehearse(process.main)
        rehearsal._START["event"] = '{"texts": ["three"]}'
        near, far = socket.socketpair()
        for each in (rehearsal._START, {"t": "hist", "e": [], "last": 1}, {"t": "ack", "no": 1 << 30}):
            far.sendall(frames.encode(each))
        assert process.main(near) == 0
        for header, payload in frames.Parser().feed(far.recv(1 << 18)):
            row = {key: header.get("e", {}).get(key) for key in ("k", "ord", "fn", "lane", "file")}
            os.write(1, f"{header['t']} {header.get('state')} {row}\\n".encode())
    """
    said = run(code)
    assert "done completed" in said
    assert run(code, "rehearse") == said
