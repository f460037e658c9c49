"""A program that forks a child for every piece of work: starting an interpreter for each would take ten times longer.

It imports everything once, never starts a thread and never uses gRPC. Requests and answers are lines of JSON on its
stdin and stdout: {"do": "module:function", "with": {keyword arguments}, "timeout": seconds} is answered by
{"exit": code (negative: signal; null: out of time), "answer": what the function returned, or null, "stderr": text}.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
PRELOADED = (
    "support.plain",
    "support.commands",
    "support.embedded",
    "support.golden",
    "perdure_server.app.link",
    "perdure_server.cli.check",
    "perdure_server.manifest.build",
)


class ForkServer:
    """The parent's end: starts the program, asks it, ends it."""

    def __init__(self) -> None:
        self._program = _start()

    def ask(self, do: str, *, timeout: float = 280, **arguments: Any) -> dict[str, Any]:
        """Run `module:function` in a fresh fork; see the module's docstring. Timeout in seconds."""
        assert self._program.stdin
        assert self._program.stdout
        try:
            self._program.stdin.write(json.dumps({"do": do, "with": arguments, "timeout": timeout}) + "\n")
            self._program.stdin.flush()
            answer: dict[str, Any] = json.loads(self._program.stdout.readline())
        except BaseException:
            self._program.kill()  # the answer must not become that of the next request
            self._program = _start()
            raise
        return answer

    def close(self) -> None:
        """End the program: it ends when its stdin does."""
        self._program.communicate(timeout=60)


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "support.forkserver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )


def _child(request: dict[str, Any], write: int, log: int) -> None:
    """The forked child: run the function, write what it returns, and end without any clean-up of the parent's."""
    code = 0
    try:
        os.setpgid(0, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        module, _, name = request["do"].partition(":")
        answer = getattr(importlib.import_module(module), name)(**request["with"])
        os.set_blocking(write, True)
        with os.fdopen(write, "w") as stream:
            json.dump(answer, stream)
    except BaseException:
        os.write(log, traceback.format_exc().encode())
        code = 1
    os._exit(code)


def _serve_one(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as log:
        read, write = os.pipe()
        if not (pid := os.fork()):
            os.close(read)
            _child(request, write, log.fileno())
        os.close(write)
        text, deadline, late = b"", time.monotonic() + request["timeout"], False
        while select.select([read], [], [], max(0, deadline - time.monotonic()))[0]:
            if not (data := os.read(read, 1 << 20)):
                break
            text += data
        else:
            late = True
            os.kill(pid, signal.SIGKILL)
        os.close(read)
        _, status = os.waitpid(pid, 0)
        log.seek(0)
        talk = log.read().decode(errors="replace")[-8000:]
    exit_code = None if late else os.waitstatus_to_exitcode(status)
    return {"exit": exit_code, "answer": None if late else json.loads(text or "null"), "stderr": talk}


def main() -> None:
    """Serve until stdin ends."""
    for module in PRELOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        print(json.dumps(_serve_one(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
