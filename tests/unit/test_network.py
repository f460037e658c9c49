"""A session that may reach listed hosts reaches these, through its host's proxy, and nothing else."""

import contextlib
import hashlib
import http.server
import ipaddress
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from host_support import FakeCoordinator, tarball
from perdure_proto.v1 import runner_pb2 as pb
from perdure_runner.host.config import HostConfig
from perdure_runner.host.egress import EgressConfig
from perdure_runner.host.host import Host

HERE = "127.0.0.2"  # of the loopback, but not what clients think they must go to without a proxy
HANDLERS = """
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import perdure


@perdure.activity
def attempts(event):
    return [_try(each, url) for each in (with_urllib, with_requests, without_a_proxy) for url in event["urls"]]


def handler(event):
    return attempts(event)


def _try(call, url):
    try:
        return call(url)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def with_urllib(url):
    try:
        with urllib.request.urlopen(url, data=b"12345", timeout=60) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.reason}"


def with_requests(url):
    import requests

    answer = requests.post(url, data=b"12345", timeout=60)
    return answer.text if answer.ok else f"{answer.status_code} {answer.reason}"


def without_a_proxy(url):
    host, port = url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=60):
        return "connected"


def child(event):
    program = f"import urllib.request as u; print(u.urlopen({event['url']!r}, timeout=60).read().decode())"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip()


def proxies(event):
    return [os.environ.get(name) for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY", "no_proxy")]
"""


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._say(f"{self.path} {self.headers['Host'].split(':')[0]} {body.decode()}")

    def do_GET(self) -> None:
        self._say("hello")

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(name="service")
def service_fixture() -> Iterator[int]:
    with http.server.ThreadingHTTPServer((HERE, 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@contextlib.asynccontextmanager
async def hosting(state_dir: Path, isolation: str = "namespaces") -> AsyncIterator[FakeCoordinator]:
    build = tarball(handlers__py=HANDLERS)
    coordinator = FakeCoordinator({hashlib.sha256(build).hexdigest(): build})
    egress = EgressConfig(private=(ipaddress.ip_network(f"{HERE}/32"),))
    config = HostConfig(state_dir=state_dir, isolation=isolation, egress=egress)
    coordinator.host = host = Host(config, coordinator)
    await host.start()
    try:
        yield coordinator
    finally:
        await host.stop()


async def result(coordinator: FakeCoordinator, entry: str, network: pb.Network, event: object = None) -> object:
    (digest,) = coordinator.blobs
    start = {"build": digest, "event": json.dumps(event).encode(), "network": network, "durable": False}
    coordinator.start(f"handlers.py:{entry}", entry, **start)
    done = await coordinator.next("done")
    assert done.state == pb.DONE_STATE_COMPLETED, done.error
    return json.loads(done.result.data)


async def test_listed_hosts_and_nothing_else(tmp_path: Path, service: int) -> None:
    network = pb.Network(mode=pb.NETWORK_MODE_HOSTS, hosts=[f"{HERE}:{service}", f"10.1.2.3:{service}"])
    urls = [f"http://{host}:{service}/x" for host in (HERE, "10.1.2.3", "127.0.0.3")]
    async with hosting(tmp_path) as coordinator:
        found = await result(coordinator, "handler", network, {"urls": urls})
    reached, private = f"/x {HERE} 12345", "is at a private or reserved address, which sessions may not reach"
    not_listed = "is not in the list `network` of perdure.yaml"
    assert found[0] == found[3] == reached
    assert found[1] == found[4] == f"403 perdure: 10.1.2.3:{service} {private}"
    assert found[2] == found[5] == f"403 perdure: 127.0.0.3:{service} {not_listed}"
    assert all("Error" in each for each in found[6:]), "nothing is reached past the proxy"


async def test_programs_that_a_session_starts_find_the_proxy_too(tmp_path: Path, service: int) -> None:
    network = pb.Network(mode=pb.NETWORK_MODE_HOSTS, hosts=[f"{HERE}:{service}"])
    async with hosting(tmp_path) as coordinator:
        assert await result(coordinator, "child", network, {"url": f"http://{HERE}:{service}/"}) == "hello"
        inside = await result(coordinator, "proxies", network)
    assert inside == [*["http://127.0.0.1:3128"] * 3, "localhost,127.0.0.1,::1"]


@pytest.mark.parametrize(
    ("isolation", "mode"),
    [
        ("namespaces", pb.NETWORK_MODE_UNSPECIFIED),
        ("namespaces", pb.NETWORK_MODE_NONE),
        ("landlock", pb.NETWORK_MODE_NONE),
    ],
)
async def test_no_network(tmp_path: Path, service: int, isolation: str, mode: pb.NetworkMode.ValueType) -> None:
    async with hosting(tmp_path, isolation) as coordinator:
        urls = [f"http://{HERE}:{service}/", f"http://127.0.0.1:{service}/"]
        found = await result(coordinator, "handler", pb.Network(mode=mode), {"urls": urls})
        assert await result(coordinator, "proxies", pb.Network(mode=mode)) == [None] * 4
    assert len(found) == 6  # type: ignore[arg-type]
    assert all("Error" in each for each in found)  # type: ignore[attr-defined]


async def test_all_of_the_network(tmp_path: Path, service: int) -> None:
    async with hosting(tmp_path) as coordinator:
        network = pb.Network(mode=pb.NETWORK_MODE_ALL)
        found = await result(coordinator, "handler", network, {"urls": [f"http://{HERE}:{service}/x"]})
    assert found == [f"/x {HERE} 12345", f"/x {HERE} 12345", "connected"]


@pytest.mark.parametrize(
    ("isolation", "mode", "told"),
    [
        ("plain", pb.NETWORK_MODE_HOSTS, "plain only, which cannot hold them to a list of hosts"),
        ("plain", pb.NETWORK_MODE_NONE, "plain only, which cannot hold them to `network: none`"),
        ("landlock", pb.NETWORK_MODE_HOSTS, "landlock only, which cannot hold them to a list of hosts"),
    ],
)
async def test_what_cannot_be_held_is_refused(
    tmp_path: Path, isolation: str, mode: pb.NetworkMode.ValueType, told: str
) -> None:
    async with hosting(tmp_path, isolation) as coordinator:
        (digest,) = coordinator.blobs
        coordinator.start("handlers.py:proxies", build=digest, network=pb.Network(mode=mode))
        lost = (await coordinator.until(lambda message: message.HasField("lost"))).lost
    assert (lost.code, lost.fatal) == ("P0611", True)
    assert lost.reason.endswith(told)
