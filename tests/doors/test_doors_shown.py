"""c12: what peers and user code say, shown to people: one line, and no command to a terminal."""

from __future__ import annotations

import io
import logging
import socket
from pathlib import Path

import pytest
from e2e.terminal import opened
from perdure_server.app.logs import OneLine
from perdure_server.cli.text import visible


@pytest.mark.parametrize(
    "said", ["h\nERROR forged", "h\r\nx", "\x1b[2Jgone", "\x1b]0;title\x07", "a\u2028b", "\x00", "ü \x9b31m"]
)
def test_a_record_of_the_servers_log_is_one_plain_line(said: str) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(OneLine("%(levelname)s %(message)s"))
    log = logging.getLogger("nobody.listens")
    log.propagate = False
    log.handlers.clear()
    log.addHandler(handler)
    log.warning("host %s is gone: %s", said, said)
    text = out.getvalue()
    assert text.startswith("WARNING host ")
    assert text.endswith("\n")
    assert text[:-1].isprintable()


@pytest.mark.parametrize(
    "said", ["\x1b[2J", "\x1b]52;c;cm0=\x07", "\x1bc", "\x9b2J", "a\x08b", "\x7f", "\x1b", "x\ny", "\x1b[31;m\x1b[6n"]
)
def test_output_on_a_terminal_does_no_more_than_colour(said: str) -> None:
    shown = visible(said, terminal=True)
    assert "\x1b" not in shown.replace("\x1b[31;m", "")
    assert not set(shown) & {"\x07", "\x08", "\x7f", "\x9b", "\n"}
    assert visible(said, terminal=False) == said


@pytest.mark.parametrize("said", ["plain ünïcode\t", "\x1b[1;31mred\x1b[0m", "50 %\r51 %", "日本"])
def test_what_programs_print_is_left_alone(said: str) -> None:
    assert visible(said, terminal=True) == said


def test_strangers_cannot_fill_the_servers_log(tmp_path: Path) -> None:
    with opened(tmp_path) as terminal:
        server = terminal.serve("home", "--grpc", "127.0.0.1:0", "--tls-name", "localhost", "--runner", "none")
        host, _, port = server.address.rpartition(":")
        for _ in range(5):
            with socket.create_connection((host, int(port)), timeout=30) as stranger:
                stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert stranger.recv(1) == b"", "the handshake has failed"
        assert server.log.read_text().count("\n") == 1, "it is ready, and no more"


def test_a_home_is_for_its_owner_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as terminal:
        assert terminal.serve("home").home.stat().st_mode & 0o777 == 0o700
