"""Hosts of other machines: a token that is good once, a certificate that is theirs only, and what opens nothing."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from coordinator_support import World, refused
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from doors_support import Doors, Stream, hello, hosts_of, mutual_channel, now_us, open_doors, status
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_runner.host import joining
from perdure_runner.host.dialling import LinkBrokenError, RefusedError
from perdure_runner.host.host import Host
from perdure_runner.host.joining import Identity, Invitation, Joined, JoinError, join
from perdure_runner.host.pinning import PinError, pinned_authority
from perdure_runner.host.remote import RemoteCoordinator
from perdure_server.app.hosting import way_to
from perdure_server.rpc.channel import open_channel
from perdure_server.security.authority import Authority
from perdure_server.security.joining import Joining


async def joined(doors: Doors, folder: Path, name: str = "alpha") -> Identity:
    return await join(await doors.invite(), folder, name)


async def test_a_token_is_all_that_a_host_needs(doors: Doors, world: World, tmp_path: Path) -> None:
    identity = await joined(doors, tmp_path / "host")
    assert (tmp_path / "host" / "identity.json").stat().st_mode & 0o777 == 0o600
    assert Identity.load(tmp_path / "host") == identity
    async with Stream(mutual_channel(doors, identity)) as stream:
        assert (await stream.greet("alpha")).HasField("welcome")
        (connection,) = world.coordinator.hosts
        assert (connection.host_id, connection.peer[:5]) == ("alpha", "ipv4:")
        await world.until(lambda: connection.certificate_until_us)
        assert connection.certificate_until_us == pytest.approx(identity.until_us, abs=60e6)  # by two clocks
        await world.start("s")
        assert (await stream.until("start")).session_id == "s"


async def test_of_two_that_come_at_once_one_joins(doors: Doors, tmp_path: Path) -> None:
    """c02: a token that was used, or is being used, opens nothing."""
    token = await doors.invite()
    ways = [join(token, tmp_path / name, name) for name in ("one", "two", "three", "four")]
    results = await asyncio.gather(*ways, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Identity"] + 3 * ["JoinError"]
    assert len(doors.access.joining.hosts()) == 1
    with pytest.raises(JoinError, match="used before") as caught:
        await join(token, tmp_path / "five")
    assert caught.value.code == "P0216"


async def test_an_invitation_ends_and_may_be_for_one_name(doors: Doors, tmp_path: Path) -> None:
    over = await doors.invite(valid_s=0.000001)
    with pytest.raises(JoinError, match="over"):
        await join(over, tmp_path / "a")
    named = await doors.invite(host_id="beta")
    with pytest.raises(JoinError, match="is for host beta"):
        await join(named, tmp_path / "a", "gamma")
    assert (await join(named, tmp_path / "a")).host_id == "beta"
    for valid_s, host_id in ((0, ""), (1e9, ""), (60, "a b"), (60, "x" * 80)):
        with refused("P0103"):
            await doors.invite(valid_s, host_id)


async def test_a_name_belongs_to_one_host_until_somebody_invites_another(
    doors: Doors, world: World, tmp_path: Path
) -> None:
    first = await joined(doors, tmp_path / "first")
    with pytest.raises(JoinError, match="there is a host alpha already"):
        await joined(doors, tmp_path / "second")
    async with Stream(mutual_channel(doors, first)) as stream:
        await stream.greet("alpha")
        second = await join(await doors.invite(host_id="alpha"), tmp_path / "second")
        await world.until(lambda: not list(world.coordinator.hosts))
    assert second.host_id == "alpha"
    async with Stream(mutual_channel(doors, first)) as stream:
        assert await stream.ended() == (grpc.StatusCode.UNAUTHENTICATED, "P0218")
    async with Stream(mutual_channel(doors, second)) as stream:
        assert (await stream.greet("alpha")).HasField("welcome")


async def test_a_host_cannot_take_anothers_name(doors: Doors, world: World, tmp_path: Path) -> None:
    identity = await joined(doors, tmp_path / "host")
    async with Stream(mutual_channel(doors, identity)) as stream:
        await stream.call.write(hello("vm-1"))
        assert await stream.ended() == (grpc.StatusCode.UNAUTHENTICATED, "P0218")
    assert not list(world.coordinator.hosts)


async def test_a_name_is_not_taken_from_one_who_came_by_another_door(
    doors: Doors, world: World, tmp_path: Path
) -> None:
    """An invited host that calls itself as the server's own does: its certificate is right, the name is in use."""
    identity = await joined(doors, tmp_path / "host", "vm-1")
    async with Stream.at(doors.socket) as own:
        await own.greet("vm-1")
        async with Stream(mutual_channel(doors, identity)) as stream:
            await stream.call.write(hello("vm-1"))
            assert await stream.ended() == (grpc.StatusCode.UNAUTHENTICATED, "P0218")
        async with Stream.at(doors.socket) as again:
            assert (await again.greet("vm-1")).HasField("welcome")
            assert len(world.coordinator.hosts) == 1
    await world.until(lambda: not list(world.coordinator.hosts))
    async with Stream(mutual_channel(doors, identity)) as stream:
        assert (await stream.greet("vm-1")).HasField("welcome")


async def test_a_revoked_host_is_cut_and_not_let_in_again(doors: Doors, world: World, tmp_path: Path) -> None:
    identity = await joined(doors, tmp_path / "host")
    async with Stream(mutual_channel(doors, identity)) as stream:
        await stream.greet("alpha")
        assert await doors.access.joining.revoke("alpha")
        assert not await doors.access.joining.revoke("alpha")
        await world.until(lambda: not list(world.coordinator.hosts))
    async with mutual_channel(doors, identity) as channel:
        for call in (
            hosts_of(channel).Attach(),
            hosts_of(channel).FetchBlob(rpb.FetchBlobRequest(digest="0" * 64)),
            hosts_of(channel).Renew(rpb.RenewRequest(csr=b"")),
        ):
            assert await status(call) == (grpc.StatusCode.UNAUTHENTICATED, "P0218")
    link = RemoteCoordinator(identity.address, print, Joined(identity, tmp_path, print))
    with pytest.raises(RefusedError, match="P0218: no host alpha has joined with this key, or it was revoked"):
        await link.serve(Mock(spec=Host))  # so that it does not dial all the time


async def test_the_hosts_door_is_closed_to_everybody_else(doors: Doors, tmp_path: Path) -> None:
    """Without a certificate, with one of another CA, with the server's own, with one that is over, and in clear."""
    stranger = Authority.of(_folder(tmp_path / "other"))
    now = dt.datetime.now(dt.UTC)
    key, request = _request()
    assert doors.access.authority is not None
    foreign = stranger.for_host(request, "alpha", now, 60).certificate
    over = doors.access.authority.for_host(request, "alpha", now - dt.timedelta(days=2), 60).certificate
    server = doors.access.authority.for_server(["localhost"], now)
    shown: list[tuple[bytes | None, bytes | None]] = [
        (None, None),
        (key, foreign),
        (key, over),
        (server.key, server.chain),
    ]
    for private, certificate in shown:
        credentials = grpc.ssl_channel_credentials(doors.authority, private, certificate)
        async with grpc.aio.secure_channel(doors.hosts, credentials) as channel:
            call = hosts_of(channel).FetchBlob(rpb.FetchBlobRequest(digest="0" * 64), timeout=60)
            assert (await status(call))[0] is grpc.StatusCode.UNAVAILABLE
    async with open_channel(doors.hosts) as channel:
        call = hosts_of(channel).FetchBlob(rpb.FetchBlobRequest(digest="0" * 64), timeout=60)
        assert (await status(call))[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_the_ca_for_a_host_that_never_joined_opens_nothing(doors: Doors) -> None:
    key, request = _request()
    assert doors.access.authority is not None
    made = doors.access.authority.for_host(request, "ghost", dt.datetime.now(dt.UTC), 60)
    credentials = grpc.ssl_channel_credentials(doors.authority, key, made.certificate)
    async with Stream(grpc.aio.secure_channel(doors.hosts, credentials)) as stream:
        assert await stream.ended() == (grpc.StatusCode.UNAUTHENTICATED, "P0218")


async def test_a_certificate_is_renewed_before_it_ends_and_the_stream_stays(
    doors: Doors, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = await joined(doors, tmp_path / "host")
    now = now_us()
    soon = Identity(**{**_fields(identity), "since_us": now - 70_000_000, "until_us": now + 30_000_000})
    dialler = Joined(soon, tmp_path / "host", lambda _line: None)
    channel, metadata = await dialler.dial()
    async with Stream(channel, metadata) as stream:
        await stream.greet("alpha")
        keeping = asyncio.create_task(dialler.keep(channel))
        await world.until(lambda: Identity.load(tmp_path / "host") != identity)
        renewed = Identity.load(tmp_path / "host")
        assert renewed is not None
        assert renewed.until_us > identity.until_us
        (connection,) = world.coordinator.hosts
        assert connection.certificate_until_us == pytest.approx(renewed.until_us, abs=60e6)  # by two clocks
        keeping.cancel()
    async with Stream(mutual_channel(doors, renewed)) as stream:
        assert (await stream.greet("alpha")).HasField("welcome")


@pytest.mark.parametrize("jumps_to_day", [20, 0])
async def test_a_host_whose_clock_is_wrong_and_jumps_renews_once_and_stays(
    doors: Doors, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jumps_to_day: int
) -> None:
    """It was told that its new certificate had ended; or it renewed as fast as it was answered."""
    day, saved = 10, Mock(wraps=Identity.save)
    monkeypatch.setattr(joining, "_now_us", lambda: now_us() + day * 86_400_000_000)
    monkeypatch.setattr(Identity, "save", lambda self, state_dir: saved(self, state_dir))
    dialler = Joined(await joined(doors, tmp_path / "host"), tmp_path / "host", lambda _line: None)
    channel, metadata = await dialler.dial()
    async with Stream(channel, metadata) as stream:
        await stream.greet("alpha")
        day = jumps_to_day
        keeping = asyncio.create_task(dialler.keep(channel))
        await world.until(lambda: saved.call_count >= 2)
        for _ in range(10):  # answers that come while it could renew again
            assert (await status(hosts_of(channel).Renew(rpb.RenewRequest())))[1] == "P0216"
        assert saved.call_count == 2
        day = 30
        again, _ = await dialler.dial()
        await again.close()
        keeping.cancel()


async def test_who_cannot_be_reached_may_have_another_clock(tmp_path: Path) -> None:
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "not yet valid")
    assert "is this machine's clock right? It says 20" in joining._refused(error, "coordinator:1").help


async def test_a_stream_ends_with_a_certificate_that_was_not_renewed(
    doors: Doors, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS looks at certificates when one dials; a stream would go on for ever."""
    identity = await joined(doors, tmp_path / "host")
    monkeypatch.setattr(Joining, "left_s", lambda _self, _host: 0.0)
    async with Stream(mutual_channel(doors, identity)) as stream:
        await stream.greet("alpha")
        await world.until(lambda: not list(world.coordinator.hosts))


async def test_a_host_whose_certificate_is_over_says_what_to_do(doors: Doors, tmp_path: Path) -> None:
    identity = await joined(doors, tmp_path / "host")
    dialler = Joined(Identity(**{**_fields(identity), "until_us": now_us()}), tmp_path, print)
    with pytest.raises(LinkBrokenError, match="perdure hosts invite --host alpha"):
        await dialler.dial()


async def test_renewing_takes_the_hosts_own_key(doors: Doors, tmp_path: Path) -> None:
    identity = await joined(doors, tmp_path / "host")
    _, request = _request()
    async with mutual_channel(doors, identity) as channel:
        call = hosts_of(channel).Renew(rpb.RenewRequest(csr=request))
        assert await status(call) == (grpc.StatusCode.UNAUTHENTICATED, "P0216")


@pytest.mark.parametrize("kind", ["noise", "empty", "rsa", "p384", "forged", "large"])
async def test_a_request_that_will_not_do_does_not_use_up_the_token(doors: Doors, tmp_path: Path, kind: str) -> None:
    token = await doors.invite()
    invitation = Invitation.parse(token)
    credential = f"{invitation.invite_id}.{invitation.secret}"
    async with open_channel(doors.tls, doors.authority) as channel:
        asked = rpb.JoinRequest(token=credential, host_id="alpha", csr=_wrong_request(kind))
        assert await status(hosts_of(channel).Join(asked)) == (grpc.StatusCode.UNAUTHENTICATED, "P0216")
        for wrong in ("", ".", "x", f"{invitation.invite_id}.", f"{invitation.invite_id}.{'A' * 43}", "x" * 300):
            asked = rpb.JoinRequest(token=wrong, host_id="alpha", csr=_request()[1])
            assert await status(hosts_of(channel).Join(asked)) == (grpc.StatusCode.UNAUTHENTICATED, "P0216")
    assert (await join(token, tmp_path / "host", "alpha")).host_id == "alpha"


async def test_a_host_joins_nobody_but_the_coordinator_that_made_the_token(
    doors: Doors, tmp_path: Path, world: World
) -> None:
    """Somebody else at the address, with a certificate of its own, learns nothing of the token."""
    async with open_doors(world, _folder(tmp_path / "impostor")) as impostor:
        invitation = Invitation.parse(await doors.invite())
        moved = json.dumps([1, *invitation._replace(address=impostor.tls)]).encode()
        with pytest.raises(JoinError, match="not the coordinator that made the token"):
            await join("pj." + base64.urlsafe_b64encode(moved).decode(), tmp_path / "host")
    assert doors.access.joining.hosts() == []
    with pytest.raises(PinError, match="does not speak TLS"):
        await pinned_authority(doors.loopback, "0" * 64)


@pytest.mark.parametrize("token", ["", "pj.", "pj.!!!", "pt.a.b", "pj." + "A" * 100, "pj.WzJd", "pj.W" + "1tb" * 3000])
def test_what_is_no_join_token_is_said_to_be_none(token: str) -> None:
    with pytest.raises(JoinError, match="no join token"):
        Invitation.parse(token)


def test_the_key_of_a_ca_is_its_owners_only_and_stays(tmp_path: Path) -> None:
    first = Authority.of(tmp_path)
    assert Authority.of(tmp_path).fingerprint == first.fingerprint
    assert (tmp_path / "ca").stat().st_mode & 0o777 == 0o700
    path = tmp_path / "ca" / "authority.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    other = Authority.of(_folder(tmp_path / "other"))
    text = path.read_bytes().partition(b"-----BEGIN CERTIFICATE")[0] + other.certificate
    for damaged in (b"", b"x", path.read_bytes()[:200], text):
        path.write_bytes(damaged)
        with refused("P0209"):
            Authority.of(tmp_path)


def _fields(identity: Identity) -> dict[str, Any]:
    return {name: getattr(identity, name) for name in Identity.__slots__}


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _request() -> tuple[bytes, bytes]:
    """A new key and a request for its certificate, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, joining._csr(key)


def _wrong_request(kind: str) -> bytes:
    def signed(key: Any) -> bytes:
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM)

    match kind:
        case "noise":
            return b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
        case "rsa":
            return signed(rsa.generate_private_key(65537, 2048))
        case "p384":
            return signed(ec.generate_private_key(ec.SECP384R1()))
        case "forged":  # the signature of another key's request
            ours, theirs = (base64.b64decode(b"".join(_request()[1].split(b"\n")[1:-2])) for _ in range(2))
            mixed = base64.b64encode(ours[:-20] + theirs[-20:])
            return b"-----BEGIN CERTIFICATE REQUEST-----\n" + mixed + b"\n-----END CERTIFICATE REQUEST-----\n"
        case "large":
            return b"x" * 20_000
    return b""


async def test_a_service_may_be_started_with_its_old_token_for_ever(doors: Doors, tmp_path: Path) -> None:
    """It is taken up once; when the certificate is over, a new one is."""
    state, token = tmp_path / "host", await doors.invite()
    first = await way_to(None, token, state, "alpha", "")
    again = await way_to(None, token, state, "", "")
    without = await way_to(None, None, state, "", "")
    assert first.host_id == again.host_id == without.host_id == "alpha"
    assert again.address == doors.hosts
    identity = Identity.load(state)
    assert identity is not None
    Identity(**{**_fields(identity), "until_us": now_us()}).save(state)
    with refused("P0216"):
        await way_to(None, token, state, "", "")
    renewed = await way_to(None, await doors.invite(host_id="alpha"), state, "", "")
    assert renewed.host_id == "alpha"
    assert Identity.load(state) != identity
