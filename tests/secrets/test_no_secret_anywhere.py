"""Must show: a secret that user code prints, raises, passes and returns is nowhere but in its runner's memory."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from perdure_proto.v1 import control_pb2 as pb

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from terminal import PATIENCE_S, Server, Terminal, descendants, kill, opened, until

TOKEN = 'tök3n/"9Q&x+Z-correct horse'
LINES = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END KEY-----"

HANDLERS = """
    import base64, json, logging, os, pickle, sys, zlib
    import perdure

    @perdure.activity
    def login(token, user, *, header):
        print("logging in with", token)
        return {"token": token, "basic": base64.b64encode(f"{user}:{token}".encode()).decode()}

    @perdure.activity
    def packed(token):
        return zlib.compress(token.encode()), {token}, [token] * 3

    @perdure.activity
    def large(token):
        return token * 20_000

    class Refused(Exception):
        def __init__(self, message, token):
            super().__init__(message, token)
            self.token = token

    @perdure.activity
    def refuse(token):
        raise Refused(f"no access with {token}", token)

    @perdure.activity(retry=perdure.RetryPolicy(max_attempts=2, initial_delay=0.01))
    def flaky(token):
        raise ConnectionError(f"cannot reach https://api/?key={token}")

    def says(token):
        print(token)
        print(repr(token), ascii(token), token.encode())
        print(json.dumps({"token": token}), json.dumps(token, ensure_ascii=False))
        print(os.environ["KEY"])
        print("x" * 150 + token, file=sys.stderr)
        logging.warning("a token: %s", token)

    def main(event):
        token = os.environ["TOKEN"]
        says(token)
        session = login(token, "me", header={"Authorization": f"Bearer {token}"})
        values = packed(token)
        much = large(token)
        errors = []
        for failing in (refuse, flaky):
            try:
                failing(token)
            except Exception as error:
                errors.append(str(error))
        signal = perdure.next_signal("go")
        unpacked = zlib.decompress(values[0]).decode()
        whole = token == session["token"] == unpacked == much[:len(token)]
        print("the same after a replay:", whole, all(token in text for text in errors))
        return {"whole": whole, "token": session["token"], "basic": session["basic"], "n": 1}

    def fails(event):
        token = os.environ["TOKEN"]
        secret_in_locals = {"a": token}
        raise Refused(f"denied: {token}", token)

    def odd(event):
        return {os.environ["TOKEN"], 5}
"""


@pytest.fixture(name="terminal")
def terminal_fixture(tmp_path: Path) -> Iterator[Terminal]:
    with opened(tmp_path) as terminal:
        yield terminal


@pytest.fixture(name="server")
def server_fixture(terminal: Terminal) -> Server:
    terminal.write("project/main.py", HANDLERS)
    terminal.write("project/perdure.yaml", "name: p\nvars:\n  TOKEN: {secret: true}\n  KEY: {secret: true}\n")
    return terminal.serve()


def forms(value: str) -> set[bytes]:
    """What a search for a secret has to look for."""
    data = value.encode()
    texts = {value, json.dumps(value)[1:-1], ascii(value)[1:-1]}
    found = {text.encode(code) for text in texts for code in ("utf-8", "utf-16-le")}
    found |= {base64.b64encode(bytes(before) + data)[4:-4] for before in range(3)}
    return found | {data.hex().encode()} | {line for line in data.splitlines() if len(line) > 8}


SOUGHT = forms(TOKEN) | forms(LINES)


def leaks(place: str, data: bytes) -> list[str]:
    return [f"{form!r} in {place}" for form in SOUGHT if form in data]


def processes(server: Server) -> list[str]:
    """What anybody may read of the coordinator and of all its children."""
    found, read = [], set()

    def ours() -> set[int] | None:
        pids = {server.process.pid, server.host_pid, *descendants(server.process.pid)}
        return pids if len(pids) >= 3 else None  # a look may miss what is below a process one of whose threads ends

    for pid in until(ours, "there are a coordinator, its host and a zygote"):
        for kind in ("cmdline", "environ", "comm"):
            try:
                found += leaks(f"{kind} of process {pid}", Path(f"/proc/{pid}/{kind}").read_bytes())
                read.add(pid)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended, or lives where nobody else can look
    assert len(read) >= 3  # the coordinator, its host, a zygote
    return found


def files(*roots: Path) -> list[str]:
    found = []
    for root in roots:
        below = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
        for path in [root] if root.is_file() else below:
            with suppress(FileNotFoundError):  # what a server takes away while we look
                if path.is_file() and not path.is_symlink():
                    found += leaks(str(path), path.read_bytes())
    return found


def set_secrets(terminal: Terminal, server: Server) -> None:
    (terminal.folder / "key.pem").write_text(LINES)
    for name, value in (("TOKEN", TOKEN), ("KEY", (terminal.folder / "key.pem").read_text())):
        given = terminal.folder / "given"
        given.write_text(value)
        with given.open() as stdin:
            terminal.run("vars", "set", name, "--secret", "--project", "p", "--server", server.address, stdin=stdin)
        given.unlink()
    (terminal.folder / "key.pem").unlink()


def told(terminal: Terminal, server: Server, session: str) -> list[str]:
    """Everything that the command line has to say about a session."""
    found = []
    for verb in ("show", "history", "logs", "watch"):
        for as_json in ((), ("--json",)):
            ran = terminal.run("sessions", verb, session, "--server", server.address, *as_json)
            found += leaks(f"sessions {verb} {' '.join(as_json)}", (ran.out + ran.err).encode())
    return found


def test_no_secret_anywhere(terminal: Terminal, server: Server) -> None:
    warned = terminal.run("deploy", "project", "--server", server.address)
    assert "P0104" in warned.err
    assert "perdure vars set TOKEN --secret --project p" in warned.err
    refused = terminal.run("start", "main.py:main", "--project", "p", "--server", server.address, code=2)
    assert "P0104" in refused.err
    set_secrets(terminal, server)
    session = server.begin("main.py:main")
    waiting = until(lambda: (found := server.session(session)).state == "waiting" and found, "it waits for a signal")
    found = processes(server)
    if waiting.runner_pid:
        with suppress(ProcessLookupError):  # it was suspended meanwhile
            kill(waiting.runner_pid)  # all that came before is replayed from what is stored
    until(lambda: server.session(session).epoch > 1 or server.session(session).suspended, "it is replayed")
    server.control.SignalSession(
        pb.SignalSessionRequest(session_id=session, name="go", payload=b"1"), timeout=PATIENCE_S
    )
    ended = server.until(session, "completed")
    assert json.loads(ended.result.data) == {"whole": True, "token": "***", "basic": ended_basic(ended), "n": 1}
    failed, odd = server.begin("main.py:fails"), server.begin("main.py:odd")
    assert "denied: ***" in server.until(failed, "failed").error.message
    server.until(odd, "completed")
    fork = forked(server, session)
    assert json.loads(server.until(fork, "completed").result.data)["whole"] is True
    shown = terminal.run("sessions", "show", session, "--server", server.address, "--json").document
    assert shown["prints"][:2] == ["***", "'***' '***' b'***'"]
    assert "the same after a replay: True True" in shown["prints"]
    for each in (session, failed, odd, fork):
        found += told(terminal, server, each)
    found += processes(server)
    found += files(server.home, server.log)  # as long as it runs there is a write-ahead log
    server.stop()
    found += files(server.home, server.log)
    assert found == []


def forked(server: Server, session: str) -> str:
    """A session that shares all of another's sealed history."""
    request = pb.ForkSessionRequest(session_id=session, from_seq=server.session(session).entries)
    return str(server.control.ForkSession(request, timeout=PATIENCE_S).session_id)


def ended_basic(session: pb.Session) -> str:
    """Base64 of user and token keeps what the user's name has a part in."""
    basic = str(json.loads(session.result.data)["basic"])
    assert basic.startswith(base64.b64encode(b"me:").decode()[:3])
    assert "***" in basic
    return basic


def test_without_its_key_a_home_is_not_served_and_nothing_is_lost(terminal: Terminal, server: Server) -> None:
    terminal.run("deploy", "project", "--server", server.address)
    set_secrets(terminal, server)
    server.stop()
    key = server.home / "secrets.key"
    kept = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    key.unlink()
    assert "P0220" in terminal.run("serve", "--home", server.home, code=2).err
    key.write_bytes(base64.b64encode(bytes(32)))
    key.chmod(0o600)
    assert "P0220" in terminal.run("serve", "--home", server.home, code=2).err
    key.write_bytes(kept)
    rotated = terminal.run("vars", "rotate-key", "--home", server.home)
    assert "2 variables" in rotated.err
    server.start()
    session = server.begin("main.py:odd")
    server.until(session, "completed")
    server.stop()
