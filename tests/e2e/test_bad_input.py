"""Bad input from the command line: each kind has its own code and exit code, says what is wrong, shows no traceback.

The journal's own troubles (disk full, damage, versions) are in test_bad_home.py.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
import tarfile
from collections.abc import Callable, Iterator

import grpc
import pytest
from perdure_proto.v1 import control_pb2 as pb
from terminal import PATIENCE_S, Server, Terminal, opened

USAGE, FAILED = 2, 1

FILES = {
    "p/good.py": "def main(event):\n    return event\n",
    "p/things.py": "import json\nNUMBER = 3\n\nclass Thing:\n    pass\n",
    "p/broken.py": "def main(event):\n    total = (1 +\n    return total\n",
    "p/wants.py": "import no_such_package\n\ndef main(event):\n    return 1\n",
    "p/wants_part.py": "def main(event):\n    from json import no_such_name\n    return 1\n",
    "p/loading.py": "LIMIT = int('many')\n\ndef main(event):\n    return 1\n",
    "p/many.py": "def first(event):\n    pass\n\ndef second(event):\n    pass\n",
    "faulty/main.py": "def main(event):\n    pass\n",
    "faulty/perdure.yaml": "name: [x]\nvarz: {}\nlimits:\n  payload: 3 parsecs\n  speed: 4\n",
    "tabs/main.py": "def main(event):\n    pass\n",
    "tabs/perdure.yaml": "vars: {\n",
}

WRONG = {
    "missing folder": (["run", "nowhere"], "P0110", ["nowhere"]),
    "missing file": (["run", "p/nowhere.py:main"], "P0110", ["nowhere.py"]),
    "missing file of a folder": (["run", "p:nowhere.py:main"], "P0110", ["nowhere.py"]),
    "missing handler": (["run", "p/good.py:mian"], "P0111", ["good.py", "did you mean 'main'?"]),
    "a variable": (["run", "p/things.py:NUMBER"], "P0112", ["things.py:2", "not a function"]),
    "a class": (["run", "p/things.py:Thing"], "P0112", ["things.py:4", "is a class"]),
    "a module": (["run", "p/things.py:json"], "P0112", ["things.py:1", "an import"]),
    "syntax error": (["run", "p/broken.py:main"], "P0113", ["broken.py:2:13", " total = (1 +\n", f"\n{14 * ' '}^\n"]),
    "no entry point": (["run", "p/many.py"], "P0114", ["many.py"]),
    "manifest": (
        ["run", "faulty"],
        "P0103",
        ["perdure.yaml:1:7", "P0102] perdure.yaml:2:1", "did you mean 'vars'?", ":4:12", ":5:3"],
    ),
    "manifest, deployed": (["deploy", "faulty"], "P0103", ["perdure.yaml:1:7", ":2:1", ":4:12", ":5:3"]),
    "no YAML": (["run", "tabs"], "P0101", ["perdure.yaml:2:1"]),
    "event": (["run", "p/good.py:main", "--event", "{'a': 1}"], "P0201", ["--event:1:2", "{'a': 1}\n", "   ^\n"]),
    "event of start": (["start", "good.py:main", "--project", "p", "--event", "[1,"], "P0201", ["--event:1:4"]),
    "event's file": (["run", "p/good.py:main", "--event", "@none.json"], "P0110", ["none.json"]),
    "unknown project": (["start", "good.py:main", "--project", "nobody"], "P0206", ["nobody", "perdure deploy"]),
}  # fmt: skip


@pytest.fixture(name="shared", scope="module")
def shared_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server, and the files, for all tests that change neither."""
    with opened(tmp_path_factory.mktemp("bad")) as terminal:
        for path, text in FILES.items():
            terminal.write(path, text)
        server = terminal.serve()
        server.deploy("p")
        yield server


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_told_with_its_code(shared: Server, name: str) -> None:
    arguments, code, said = WRONG[name]
    where = ["--server", shared.address] if arguments[0] in {"start", "deploy"} else ["--home", "wrong"]
    ran = shared.terminal.run(*arguments, *where, code=USAGE)
    assert ran.out == ""
    assert ran.err.startswith(f"error[{code}] "), ran
    assert [part for part in said if part not in ran.err] == [], ran


def test_a_missing_package_is_named_with_the_remedy(shared: Server) -> None:
    ran = shared.terminal.run("run", "p/wants.py:main", "--home", "imports", code=FAILED)
    assert "error[P0301]" in ran.err
    assert "wants.py:1" in ran.err
    assert "'no_such_package' to the project's requirements" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("loading.py", ['File "loading.py", line 1', "LIMIT = int('many')", "ValueError: invalid literal"]),
        ("wants_part.py", ['File "wants_part.py", line 2', "ImportError: cannot import name 'no_such_name'"]),
    ],
)
def test_a_module_that_fails_shows_the_users_own_line(shared: Server, file: str, said: list[str]) -> None:
    ran = shared.terminal.run("run", f"p/{file}:main", "--home", "loading", code=FAILED)
    assert [part for part in said if part not in ran.err] == [], ran


VALUES = """
    import sys
    import perdure

    @perdure.activity
    def large(length):
        return "x" * length

    @perdure.activity
    def strange():
        return sys._getframe()

    def too_large(event):
        return len(large(5000))

    def too_large_caught(event):
        try:
            large(5000)
        except perdure.ValueTooLarge as error:
            return [error.code, len(large(500))]

    def unpicklable(event):
        return str(strange())

    def unpicklable_caught(event):
        try:
            strange()
        except perdure.UnrecordableValue as error:
            return error.code
"""


@pytest.mark.parametrize(("handler", "code"), [("too_large", "P0402"), ("unpicklable", "P0401")])
def test_a_value_that_cannot_be_kept(terminal: Terminal, handler: str, code: str) -> None:
    terminal.write("p/main.py", VALUES)
    terminal.write("p/perdure.yaml", "limits: {payload: 1KiB}\n")
    ran = terminal.run("run", f"p:main.py:{handler}", code=FAILED)
    assert code in ran.err, ran
    assert "main.py" in ran.err
    ran = terminal.run("run", f"p:main.py:{handler}_caught", "--json")
    assert code in json.dumps(ran.document["result"])


# --- builds -----------------------------------------------------------------------------------------------------------


def member(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", content: bytes = b"x"
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def tarball(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue(), 9)


HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "no tarball": ("P0120", lambda: b"PK\x03\x04 something else"),
    "cut short": ("P0120", lambda: tarball(member("a.py"))[:-20]),
    "absolute path": ("P0121", lambda: tarball(member("/tmp/escaped.py"))),
    "dot dot": ("P0121", lambda: tarball(member("../escaped.py"))),
    "link out": ("P0122", lambda: tarball(member("out", tarfile.SYMTYPE, "/etc"))),
    "link up": ("P0122", lambda: tarball(member("a/out", tarfile.SYMTYPE, "../../escaped"))),
    "hard link": ("P0122", lambda: tarball(member("a"), member("b", tarfile.LNKTYPE, "/etc/passwd"))),
    "device": ("P0122", lambda: tarball(member("null", tarfile.CHRTYPE))),
    "pipe": ("P0122", lambda: tarball(member("pipe", tarfile.FIFOTYPE))),
    "duplicate": ("P0123", lambda: tarball(member("a.py"), member("a.py", content=b"other"))),
    "upper and lower case": ("P0123", lambda: tarball(member("a.py"), member("A.py"))),
    "bomb": ("P0124", lambda: tarball(member("zeros", content=b"\0" * 50_000_000))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_builds_are_refused(shared: Server, name: str) -> None:
    code, make = HOSTILE[name]
    data = make()
    parts = [pb.DeployRequest(header=pb.DeployHeader(project="hostile")), pb.DeployRequest(chunk=data)]
    with pytest.raises(grpc.RpcError) as refused:
        shared.control.Deploy(iter(parts), timeout=PATIENCE_S)
    assert dict(refused.value.trailing_metadata())["perdure-code"] == code, refused.value
    assert refused.value.details()
    folders = os.walk(shared.home.parent)  # unlike rglob, it bears that a folder has just gone
    assert [name for _, inner, names in folders for name in (*inner, *names) if name.startswith("escaped")] == []
    ran = shared.terminal.run("start", "a.py:main", "--project", "hostile", "--server", shared.address, code=USAGE)
    assert "P0206" in ran.err, "nothing was deployed"


# --- sessions ---------------------------------------------------------------------------------------------------------

READING = [["show"], ["history"], ["logs"], ["logs", "-f"], ["watch"]]
CHANGING = [["stop"], ["signal", "go"], ["signal", "--wake"], ["fork", "--from", "0"], ["replay"]]


@pytest.mark.parametrize("command", [*READING, *CHANGING], ids=" ".join)
def test_an_unknown_session(shared: Server, command: list[str]) -> None:
    verb, *options = command
    arguments = ["sessions", verb, *(o for o in options if o.startswith("-f")), "ses_nobody"]
    arguments += [o for o in options if not o.startswith("-f")]
    for where in ("--server", shared.address), ("--home", str(shared.home)):
        ran = shared.terminal.run(*arguments, *where, code=USAGE)
        assert ran.err.startswith("error[P0204] unknown session 'ses_nobody'"), ran


def test_a_session_that_has_ended_does_not_change(shared: Server) -> None:
    session = shared.begin("good.py:main", 5)
    shared.until(session, "completed")
    for command in (["stop"], ["stop", "--force"], ["signal", "go"], ["signal", "--wake"]):
        verb, *options = command
        ran = shared.terminal.run("sessions", verb, session, *options, "--server", shared.address, code=USAGE)
        assert ran.err.startswith("error[P0205]"), ran
        assert "completed" in ran.err
    assert shared.session(session).state == "completed"


def test_resume_of_sessions_that_cannot_go_on(terminal: Terminal) -> None:
    terminal.write("p/main.py", "def main(event):\n    return 1\n")
    ended = terminal.run("run", "p", "--json").document["session_id"]
    assert "error[P0205]" in terminal.run("resume", ended, code=USAGE).err
    assert "error[P0204]" in terminal.run("resume", "ses_nobody", code=USAGE).err
    assert "error[P0110]" in terminal.run("resume", "--home", "nowhere", code=USAGE).err
    assert "no unfinished session" in terminal.run("resume").err


def test_a_port_in_use(shared: Server, terminal: Terminal) -> None:
    """By another program, or by another coordinator: gRPC itself would let two of its servers share a port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for address in (f"127.0.0.1:{taken.getsockname()[1]}", shared.address):
            ran = terminal.run("serve", "--home", "h", "--grpc", address, code=USAGE)
            assert ran.err.startswith(f"error[P0203] cannot listen on {address}: the address is in use\n"), ran


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:many", "127.0.0.1:70000", "192.0.2.1:0"])
def test_an_address_that_is_none(terminal: Terminal, address: str) -> None:
    ran = terminal.run("serve", "--home", "h", "--grpc", address, code=USAGE)
    assert ran.err.startswith(f"error[P0203] cannot listen on {address}: "), ran
