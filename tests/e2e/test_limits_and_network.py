"""What a project says of network and limits, through the command line, a server and the host beside it."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from terminal import Terminal

SERVICE = "127.0.0.2"  # of the loopback, but not what clients think they must go to without a proxy


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(name="port")
def port_fixture() -> Iterator[int]:
    with http.server.ThreadingHTTPServer((SERVICE, 0), Hello) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("beside", [True, False], ids=["host beside the server", "host of its own"])
def test_a_project_reaches_the_hosts_that_it_lists(terminal: Terminal, port: int, beside: bool) -> None:
    terminal.write(
        "net/main.py",
        """
        import urllib.request

        import requests


        def fetch(url):
            with urllib.request.urlopen(url, timeout=30) as answer:
                return [answer.read().decode(), requests.get(url, timeout=30).text]
        """,
    )
    terminal.write("net/perdure.yaml", f'name: net\nnetwork: ["{SERVICE}:{port}", "10.1.2.3"]\n')
    held = ("--isolation", "strict", "--egress-allow-private", f"{SERVICE}/32")
    server = terminal.serve("home", *(held if beside else ("--runner", "none")))
    if not beside:
        address = json.loads((server.home / "endpoint.json").read_text())["socket"]
        terminal.spawn("host", "--coordinator", address, "--state-dir", "host", *held)
    terminal.run("deploy", "net", "--home", "home")

    def start(url: str, code: int) -> dict:
        asked = ("start", "main.py:fetch", "--home", "home", "--wait", "--json", "--event", f'"{url}"')
        return terminal.run(*asked, code=code).document

    assert start(f"http://{SERVICE}:{port}/", 0)["result"] == ["hello", "hello"]
    elsewhere = start(f"http://127.0.0.3:{port}/", 1)
    assert "127.0.0.3:" in elsewhere["error"]["message"]
    assert "is not in the list `network` of perdure.yaml" in elsewhere["error"]["message"]
    assert "is at a private or reserved address" in start("http://10.1.2.3/", 1)["error"]["message"]


BUSY = """
def noisy(event):
    for number in range(1000):
        print("line", number)


def turns(event):
    while True:
        pass
"""


def test_limits_of_a_project_and_of_the_operator(terminal: Terminal) -> None:
    terminal.write("busy/main.py", BUSY)
    terminal.write("busy/perdure.yaml", "name: busy\nlimits: {log: 2KiB, run_time: 1h}\n")
    server = terminal.serve("home", "--limits", "log=1KiB")
    terminal.run("deploy", "busy", "--home", "home")
    start = ("start", "--home", "home", "--json", "--wait")
    noisy = terminal.run(*start, "main.py:noisy", code=1).document
    assert (noisy["error"]["code"], noisy["error"]["message"][:24]) == ("P0602", "log: limit 1 KiB, used 1")
    server.stop()
    terminal.serve("home", "--limits", "run_time=500ms")  # the other one might take as long before it is too loud
    slow = terminal.run(*start, "main.py:turns", code=1).document
    assert (slow["error"]["code"], slow["error"]["message"][:22]) == ("P0608", "run_time: limit 0.5 s,")


def test_sessions_at_once_and_the_queue_of_a_deployment(terminal: Terminal) -> None:
    terminal.write("busy/main.py", BUSY)
    terminal.write("busy/perdure.yaml", "name: busy\nlimits: {sessions: 1, queue: 1}\n")
    server = terminal.serve()
    terminal.run("deploy", "busy", "--home", "home")
    first = server.begin("main.py:turns", project="busy")
    server.until(first, "running")  # until there is a host, it has a place in the queue itself
    second = server.begin("main.py:turns", project="busy")
    assert server.session(second).state == "created"
    refused = terminal.run("start", "main.py:turns", "--home", "home", code=1)
    assert "P0610" in refused.err
    assert "queue: limit 1, used 1" in refused.err
    terminal.run("sessions", "stop", first, "--home", "home", "--force")
    server.until(second, "running")
