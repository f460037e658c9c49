"""The Docker backend as its operator has it: commands, requirements, and what is left after kill -9 of anything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_support import Dockerd, NoEngine, base_versions, containers, copy_base
from e2e.terminal import Server, Terminal, kill, opened, until
from environments.wheelhouse import Wheelhouse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TINY = """
    import os
    import tiny

    def main(event):
        return [tiny.VERSION, os.getuid()]
"""
SLOW_S = 7.0
"""For which an engine does not answer: longer than a host that has nothing to end takes."""
STEPS = """
    import random
    import select

    def main(event):
        drawn = []
        for number in range(event):
            drawn.append(random.random())
            select.select([], [], [], 0.1)
        return len(set(drawn))
"""


@pytest.fixture(name="terminal")
def terminal_fixture(tmp_path: Path, engine: str) -> Iterator[Terminal]:
    house = Wheelhouse(tmp_path / "house")
    house.wheel("tiny", "1.0")
    house.wheel("tiny", "2.0")
    with opened(tmp_path) as terminal:
        terminal.variables |= {"PERDURE_DOCKER_URL": engine, "PERDURE_DOCKER_WARM": "1", **house.variables}
        yield terminal


@pytest.fixture(name="own")
def own_fixture(terminal: Terminal, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    """An engine for one test, with the base image of the one for all; the terminal's commands use it."""
    own = Dockerd(tmp_path_factory.mktemp("engine"))
    try:
        own.start()
    except NoEngine as reason:
        pytest.skip(str(reason))
    try:
        copy_base(engine, own.url)
        terminal.variables["PERDURE_DOCKER_URL"] = own.url
        yield own
    finally:
        own.end()
        own.remove()


def left(url: str, folder: Path) -> list[str]:
    """States of the containers that have something of this folder."""
    return [
        str(each["State"])
        for each in containers(url)
        if any(str(mount.get("Source", "")).startswith(str(folder)) for mount in each["Mounts"])
    ]


def gone(url: str, folder: Path) -> None:
    """Wait until there is none: who has told the engine to remove one need not wait for it to its end."""
    try:
        until(lambda: not left(url, folder), "the containers are removed")
    except AssertionError:
        logs = [file.read_text(errors="replace") for file in folder.glob("*.log")]
        raise AssertionError((left(url, folder), logs)) from None


def images(terminal: Terminal) -> set[str]:
    return {each["tag"] for each in terminal.run("images", "list", "--json").document}


def project(terminal: Terminal, name: str, requirement: str) -> None:
    terminal.write(f"{name}/perdure.yaml", f"name: {name}\n")
    terminal.write(f"{name}/handlers.py", TINY)
    terminal.write(f"{name}/requirements.txt", f"{requirement}\n")


def outcome(server: Server, name: str) -> list[object]:
    session = server.until(server.begin("handlers.py:main", project=name), "completed")
    found: list[object] = json.loads(session.result.data)
    return found


def test_requirements_are_a_layer_that_projects_share(terminal: Terminal, engine: str) -> None:
    for name, requirement in (("first", "tiny==1.0"), ("second", "tiny==1.0"), ("third", "tiny>1")):
        project(terminal, name, requirement)
    server = terminal.serve("home", "--runner", "docker")
    server.deploy("first", "first")
    assert outcome(server, "first") == ["1.0", 65532]
    one = images(terminal)
    server.deploy("second", "second")
    assert outcome(server, "second") == ["1.0", 65532]
    assert images(terminal) == one
    server.deploy("third", "third")
    assert outcome(server, "third") == ["2.0", 65532]
    assert len(images(terminal) - one) == 1
    assert left(engine, terminal.folder)
    server.stop()
    gone(engine, terminal.folder)


def test_a_host_of_containers_that_dials_in(terminal: Terminal, engine: str) -> None:
    terminal.write("p/handlers.py", STEPS)
    server = terminal.serve("home", "--runner", "none")
    address = json.loads((server.home / "endpoint.json").read_text())["socket"]
    log = (terminal.folder / "host.log").open("w")
    host = terminal.spawn(
        "host", "--backend", "docker", "--coordinator", address, "--state-dir", "state", "--name", "d", stderr=log
    )
    server.deploy("p")
    assert server.until(server.begin("handlers.py:main", 1), "completed").result.data == b"1"
    (shown,) = terminal.run("hosts", "list", "--home", server.home, "--json").document
    assert (shown["host_id"], shown["isolation"]) == ("d", "docker")
    host.terminate()
    terminal.finish(host)
    server.stop()
    log.close()
    gone(engine, terminal.folder)


def test_nothing_is_left_when_everything_is_killed(terminal: Terminal, engine: str) -> None:
    terminal.write("p/handlers.py", STEPS)
    server = terminal.serve("home", "--runner", "docker")
    server.deploy("p")
    session_id = server.begin("handlers.py:main", 20)
    server.until(session_id, "running")
    host = server.host_pid
    server.kill()
    until(lambda: not Path(f"/proc/{host}").exists(), "the host is gone with its server")
    until(lambda: "running" not in left(engine, terminal.folder), "containers end with their host")
    server.start()
    assert server.until(session_id, "completed").result.data == b"20"
    server.stop()
    gone(engine, terminal.folder)


def test_a_host_that_is_killed(terminal: Terminal, engine: str) -> None:
    terminal.write("p/handlers.py", STEPS)
    server = terminal.serve("home", "--runner", "docker")
    server.deploy("p")
    session_id = server.begin("handlers.py:main", 20)
    server.until(session_id, "running")
    kill(server.host_pid)
    assert server.until(session_id, "completed").result.data == b"20"
    server.stop()
    gone(engine, terminal.folder)


def test_a_server_that_ends_while_its_host_is_dead(terminal: Terminal, engine: str) -> None:
    server = terminal.serve("home", "--runner", "docker")
    until(lambda: left(engine, terminal.folder) == ["running"], "a container waits")
    kill(server.host_pid)
    server.stop()
    assert left(engine, terminal.folder) == []


def test_an_engine_that_is_killed(terminal: Terminal, own: Dockerd) -> None:
    terminal.write("p/handlers.py", STEPS)
    server = terminal.serve("home", "--runner", "docker")
    server.deploy("p")
    session_id = server.begin("handlers.py:main", 30)
    server.until(session_id, "running")
    own.end(signal.SIGKILL)
    own.start()
    assert server.until(session_id, "completed").result.data == b"30"
    again = server.begin("handlers.py:main", 1)
    assert server.until(again, "completed").result.data == b"1"
    os.kill(own.pid, signal.SIGSTOP)
    os.kill(server.host_pid, signal.SIGTERM)  # systemd tells every process of a service; the server tells it again
    server.process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):  # it waits for an engine that is slow: nobody else would remove them
        server.process.wait(SLOW_S)
    os.kill(own.pid, signal.SIGCONT)
    server.stop()
    assert containers(own.url) == []


def test_no_engine_is_said_at_once(terminal: Terminal) -> None:
    terminal.variables["PERDURE_DOCKER_URL"] = f"unix://{terminal.folder}/none.sock"
    for command in (("serve", "--runner", "docker"), ("host", "--backend", "docker", "--coordinator", "unix:/x")):
        said = terminal.run(*command, code=2).err
        assert "P0219" in said
        assert "docker_url" in said
    assert "docker" in terminal.run("doctor").out


def test_a_base_of_an_image(terminal: Terminal, own: Dockerd) -> None:
    (version,) = base_versions(own.url)
    name = f"perdure-base:{version}"
    made = terminal.run("images", "build-base", "--from", name, "--json").document
    assert (made["image"], made["python"].rpartition(".")[0]) == (name, version)
    said = terminal.run("images", "build-base", "--from", "no-such-image:1", code=2).err
    assert "docker pull no-such-image:1" in said
