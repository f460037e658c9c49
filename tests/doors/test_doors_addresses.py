"""Where a server may listen, what it shows there, and how clients find it."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pytest
from coordinator_support import World, refused
from cryptography import x509
from doors_support import PATIENCE_S, Doors
from perdure_proto.v1 import control_pb2 as cpb
from perdure_runner.host import pinning
from perdure_server.app.dialling import dial, token_of_home
from perdure_server.app.entrance import Addresses, entrance
from perdure_server.app.hosting import way_to
from perdure_server.cli import connect
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.doors import RENEW_BEFORE, Tls, doors_of
from perdure_server.rpc.server import GrpcServer
from perdure_server.security.addresses import is_loopback
from perdure_server.security.authority import Authority
from perdure_server.security.needs import Kind


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1:1", True),
        ("127.8.9.1:0", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:0", False),
        ("[::]:0", False),
        (":0", False),
        ("192.0.2.1:1", False),
        ("127.0.0.1.example.invalid:1", False),
        ("[::ffff:192.0.2.1]:1", False),
    ],
)
def test_what_is_loopback(address: str, here: bool) -> None:
    assert is_loopback(address) is here
    if here:
        assert [door.kind for door in doors_of([address], None, "")] == [Kind.LOOPBACK]
    else:
        with pytest.raises(PerdureError) as caught:
            doors_of([address], None, "")
        assert caught.value.code == ("P0217" if address.startswith(("0.0.0.0", "[::]", ":")) else "P0203")


def test_with_tls_every_address_has_it(tmp_path: Path) -> None:
    tls = Tls(Authority.of(tmp_path), ["a.example"])
    doors = doors_of(["127.0.0.1:0", "0.0.0.0:0", "unix:/x"], tls, "0.0.0.0:1")
    assert [door.kind for door in doors] == [Kind.TLS, Kind.TLS, Kind.SOCKET, Kind.HOSTS]


def test_the_servers_certificate_names_it_and_is_made_anew_in_time(tmp_path: Path) -> None:
    tls = Tls(Authority.of(tmp_path), ["a.example", "192.0.2.1", "::1", "bücher.example"])
    shown = x509.load_pem_x509_certificate(tls._shown.chain)
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "xn--bcher-kva.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1", "::1"]
    assert tls._shown.until - dt.datetime.now(dt.UTC) > 2 * RENEW_BEFORE


async def test_an_entrance_tells_those_who_can_read_the_home(world: World, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with entrance(world.coordinator, home, Addresses()) as opened:
        told = json.loads((home / "endpoint.json").read_text())
        assert (home / "endpoint.json").stat().st_mode & 0o777 == 0o600
        assert (told["grpc"], told["socket"]) == (opened.grpc, opened.local)
        assert (home / "run").stat().st_mode & 0o777 == 0o700
        assert connect.endpoint(home) == opened.local
        client = await dial(opened.grpc, "", PATIENCE_S)
        async with client:
            await client.list_tokens(cpb.ListTokensRequest())
        assert client.token == told["token"] == await token_of_home(opened.grpc, "")()
    assert not (home / "endpoint.json").exists()


async def test_a_client_of_another_machine_needs_a_token_and_believes_the_servers_ca_only(
    world: World, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with entrance(world.coordinator, home, Addresses(tls_names=("localhost",))) as opened:
        made = await opened.control.create_token(cpb.CreateTokenRequest(name="ci", scope="read"))
        address = f"localhost:{opened.grpc.rpartition(':')[2]}"
        async with await dial(address, made.secret, PATIENCE_S) as client:
            assert (await client.list_hosts(cpb.ListHostsRequest())).hosts == []
            with refused("P0215"):
                await client.list_tokens(cpb.ListTokensRequest())
        wrong = made.secret[:-4] + ("0000" if made.secret[-4:] != "0000" else "1111")
        with refused("P0217"):
            await dial(address, wrong, PATIENCE_S)
        async with await dial(f"127.0.0.1:{opened.grpc.rpartition(':')[2]}", made.secret, 1.0) as client:
            with refused("P0207"):  # the certificate is not for this name
                await client.list_hosts(cpb.ListHostsRequest())
        invited = await opened.control.invite_host(cpb.InviteHostRequest())
        assert invited.address == address
    with refused("P0217"):
        await world.control.invite_host(cpb.InviteHostRequest())


@pytest.mark.parametrize(
    ("address", "token", "code"),
    [
        ("192.0.2.1:1", "", "P0215"),
        ("192.0.2.1:1", "nonsense", "P0215"),
        ("192.0.2.1:1", "pt.a." + "x" * 43, "P0217"),
        ("127.0.0.1:1", f"pt.a.{'x' * 43}.{'0' * 64}", "P0207"),
    ],
)
async def test_nothing_is_sent_in_clear_to_another_machine(address: str, token: str, code: str) -> None:
    with refused(code):
        await dial(address, token, 1.0)


async def test_a_host_dials_in_clear_on_its_own_machine_only(tmp_path: Path) -> None:
    for coordinator, token, code in (
        ("192.0.2.1:1", None, "P0217"),
        (None, None, "P0104"),
        (None, "nonsense", "P0216"),
    ):
        with refused(code):
            await way_to(coordinator, token, tmp_path, "", "")
    (tmp_path / "identity.json").write_text("{")
    with refused("P0216"):
        await way_to(None, None, tmp_path, "", "")


async def test_a_home_with_a_long_path_has_a_socket_all_the_same(world: World, tmp_path: Path) -> None:
    home = tmp_path / ("x" * 120)
    home.mkdir()
    async with entrance(world.coordinator, home, Addresses()) as opened:
        socket = Path(opened.local.removeprefix("unix:"))
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        async with await dial(opened.local, "", PATIENCE_S) as client:
            await client.list_tokens(cpb.ListTokensRequest())
    assert not socket.parent.exists()


def test_a_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pt.file\n")
    file = {"PERDURE_TOKEN_FILE": str(tmp_path / "token")}
    assert Settings([], {}).token() == ""
    assert Settings([], file).token() == "pt.file"
    assert Settings([], file | {"PERDURE_TOKEN": " pt.env\n"}).token() == "pt.env"
    with refused("P0110"):
        Settings([], {"PERDURE_TOKEN_FILE": str(tmp_path / "nothing")}).token()


async def test_a_socket_that_somebody_listens_on_is_left_alone(doors: Doors, world: World) -> None:
    with refused("P0203"):
        await GrpcServer(world.coordinator, world.control, [doors.socket]).start()
    assert os.path.exists(doors.socket.removeprefix("unix:"))


async def test_a_handshake_near_the_end_of_a_certificate_makes_a_new_one(world: World, tmp_path: Path) -> None:
    authority = Authority.of(tmp_path)
    tls = Tls(authority, ["localhost"])
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=25)
    tls._shown = authority.for_server(["localhost"], old)
    server = GrpcServer(world.coordinator, world.control, ["127.0.0.1:0"], tls=tls, hosts="127.0.0.1:0")
    (address,) = await server.start()
    for each in (address, server.hosts_address):
        shown = x509.load_der_x509_certificate(await pinning._shown(each))
        assert shown.not_valid_before_utc > old + dt.timedelta(days=1)
    await server.stop(0)
