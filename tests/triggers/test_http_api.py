"""The JSON API: the same operations as by gRPC, for the same tokens."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from coordinator_support import BUILD, FakeHost, World
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_server.coordinator.rpcs import SERVICE
from perdure_server.security.needs import NEEDS
from perdure_server.security.scopes import Scope
from perdure_server.web import messages, openapi
from perdure_server.web.api import served
from perdure_server.web.routes import PREFIX, ROUTES, Route
from web_support import PATIENCE_S, Web


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_every_rpc_has_a_route_and_each_path_is_of_one_place() -> None:
    assert {route.rpc for route in ROUTES} == {method.name for method in SERVICE.methods}
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES) == len({r.rpc for r in ROUTES})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.rpc)
async def test_each_route_asks_for_what_its_rpc_needs(web: Web, route: Route) -> None:
    """Strangers get 401, the next smaller scope 403, and so does a token of one project where it concerns all."""
    assert route in served(web.control)
    need = NEEDS[f"/{SERVICE.full_name}/{route.rpc}"]
    path = (PREFIX + route.path).replace("{", "").replace("}", "").replace(":path", "")

    async def ask(headers: dict[str, str]) -> tuple[int, str]:
        return code(await web.client.request(route.method, path, headers=headers))

    assert await ask({}) == (401, "P0215")
    assert await ask({"authorization": "Bearer pt.nobody." + "x" * 43}) == (401, "P0215")
    assert await ask({"authorization": "Basic eDp5"}) == (401, "P0215")
    if need.scope > Scope.READ:
        assert await ask(await web.as_(Scope(need.scope - 1).name.lower())) == (403, "P0215")
    if need.whole:
        assert await ask(await web.as_("admin", "p")) == (403, "P0215")


async def test_a_session_by_http(web: Web, world: World) -> None:
    FakeHost(world)
    started = await web.api(
        "POST",
        "/sessions",
        json={"session_id": "s", "build_id": BUILD, "entry_point": "m.py:f", "event": {"n": [1, "ä"]}},
    )
    assert (started.status_code, started.json()) == (200, {"session_id": "s", "state": "created"})
    await world.completed("s")
    session = (await web.api("GET", "/sessions/s", "read")).json()
    assert (session["state"], session["event"], session["durable"]) == ("completed", {"n": [1, "ä"]}, True)
    listed = (await web.api("GET", "/sessions?states=completed&states=failed&limit=5")).json()
    assert [each["session_id"] for each in listed["sessions"]] == ["s"]
    assert (await web.api("GET", "/sessions?states=failed")).json()["sessions"] == []


async def test_streams_are_lines_or_server_sent_events(web: Web, world: World) -> None:
    FakeHost(world)
    await world.start("s")
    await world.completed("s")
    history = await web.api("GET", "/sessions/s/history?with_data=true")
    assert history.headers["content-type"] == "application/x-ndjson"
    entries = [json.loads(line) for line in history.text.splitlines()]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[0]["kind"] == "ENTRY_KIND_STARTED"
    watched = await web.api("GET", "/sessions/s/watch", headers={"accept": "text/event-stream"})
    assert watched.headers["content-type"].startswith("text/event-stream")
    (update,) = [line for line in watched.text.split("\n\n") if line]
    assert json.loads(update.removeprefix("data: "))["session"]["state"] == "completed"
    assert code(await web.api("GET", "/sessions/none/logs")) == (404, "P0204")


async def test_a_stream_ends_with_the_token_that_it_is_for(web: Web, world: World) -> None:
    await world.start("s")
    headers = await web.as_("read")
    (row,) = web.access.tokens.rows()
    async with web.client.stream("GET", "/api/v1/sessions/s/watch", headers=headers) as watched:
        lines = watched.aiter_lines()
        assert json.loads(await anext(lines))["session"]["state"] == "created"
        assert await web.access.tokens.revoke(row.token_id)
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(lines)


async def test_a_token_of_one_project_sees_no_other(web: Web, world: World) -> None:
    await world.start("s", project="p")
    assert (await web.api("GET", "/sessions/s", "read", "p")).status_code == 200
    assert code(await web.api("GET", "/sessions/s", "read", "q")) == (404, "P0204")
    assert (await web.api("GET", "/sessions", "read", "q")).json()["sessions"] == []
    assert code(await web.api("GET", "/sessions?project=p", "read", "q")) == (403, "P0215")
    assert (await web.api("PUT", "/projects/p/vars/A", "deploy", "p", json={"value": "x"})).status_code == 200
    assert code(await web.api("PUT", "/projects/p/vars/A", "deploy", "q", json={"value": "x"})) == (403, "P0215")
    assert code(await web.api("POST", "/projects/p/deployments", "deploy", "q", content=b"x")) == (403, "P0215")


async def test_variables_are_text_and_secrets_are_not_shown(web: Web) -> None:
    await web.api("PUT", "/projects/p/vars/A", json={"value": "ä"})
    await web.api("PUT", "/projects/p/vars/B", json={"value": "hidden", "secret": True})
    shown = (await web.api("GET", "/projects/p/vars")).json()["vars"]
    assert [(each["name"], each["value"], each["secret"]) for each in shown] == [("A", "ä", False), ("B", "", True)]
    assert code(await web.api("PUT", "/projects/p/vars/A", json={"value": 5})) == (400, "P0702")
    assert (await web.api("DELETE", "/projects/p/vars/A")).json() == {"existed": True}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/sessions?colour=red", b"", (400, "P0702")),
        ("GET", "/sessions?limit=-1", b"", (400, "P0702")),
        ("GET", "/sessions?limit=1&limit=2", b"", (400, "P0702")),
        ("GET", "/sessions/s/history?with_data=perhaps", b"", (400, "P0702")),
        ("GET", "/sessions?states=purple", b"", (400, "P0103")),
        ("POST", "/sessions", b"{", (400, "P0702")),
        ("POST", "/sessions", b"[]", (400, "P0702")),
        ("POST", "/sessions", b'{"colour": 1}', (400, "P0702")),
        ("POST", "/sessions", b'{"memo": 1}', (400, "P0702")),
        ("POST", "/sessions", b'{"entry_point": ["a"]}', (400, "P0702")),
        ("POST", "/sessions", b'{"entry_point": "a"}', (400, "P0114")),
        ("POST", "/sessions/s/stop", b"x" * (64 * 1024 + 1), (413, "P0231")),
        ("PATCH", "/sessions", b"", (405, "P0702")),
        ("POST", "/sessions/none/stop", b"", (404, "P0204")),
        ("POST", "/projects/p/deployments", b"no tarball", (400, "P0120")),
        ("GET", "/no/such/thing", b"", (404, "P0223")),
    ],
)
async def test_what_is_wrong_is_said_as_json(
    web: Web, method: str, path: str, body: bytes, expected: tuple[int, str]
) -> None:
    response = await web.api(method, path, content=body)
    assert code(response) == expected
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "told", "message", "hint"),
    [
        ("/sessions", {"entry_piont": "a.py:b"}, "there is no field 'entry_piont'", "did you mean 'entry_point'?"),
        ("/sessions/s/stop", {"colour": 1}, "there is no field 'colour'", "there are: session_id, "),
        ("/projects/p/events", {"x" * 200: 1}, f"there is no field '{'x' * 80}'", "there are: project, "),
    ],
)
async def test_an_unknown_field_is_told_with_those_that_there_are(
    web: Web, path: str, told: dict[str, object], message: str, hint: str
) -> None:
    error = (await web.api("POST", path, json=told)).json()["error"]
    assert (error["code"], error["message"]) == ("P0702", message)
    assert error["help"].startswith(hint)


async def test_names_as_protobuf_writes_them_are_taken(web: Web) -> None:
    assert code(await web.api("POST", "/sessions", json={"entryPoint": "a", "sessionId": "s"})) == (400, "P0114")


async def test_probes_and_the_description_need_no_token(web: Web) -> None:
    assert (await web.client.get("/livez")).text == "ok\n"
    assert (await web.client.get("/readyz")).text == "ok\n"
    described = (await web.client.get("/api/openapi.json")).json()
    assert described == json.loads(json.dumps(openapi.document(served(web.control))))
    assert described["paths"]["/api/v1/sessions/{session_id}"]["get"]["operationId"] == "GetSession"


async def test_https_with_a_certificate_of_the_homes_own_authority(world: World, tmp_path: Path) -> None:
    import ssl

    from perdure_server.app.http import HttpAddress, http_face
    from perdure_server.coordinator.control import Control
    from perdure_server.security.access import Access

    access = Access(world.store, world.clock.now_us, home=tmp_path)
    assert access.authority is not None
    control = Control(world.coordinator, "", access)
    async with http_face(world.coordinator, control, access, ("localhost",), HttpAddress("0.0.0.0:0")) as address:
        port = address.rpartition(":")[2]
        assert world.coordinator.public_url == f"https://localhost:{port}"
        trust = ssl.create_default_context(cadata=access.authority.certificate.decode())
        async with httpx.AsyncClient(verify=trust, timeout=PATIENCE_S) as client:
            assert (await client.get(f"https://localhost:{port}/livez")).status_code == 200
            with pytest.raises(httpx.ConnectError):
                await client.get(f"https://127.0.0.1:{port}/livez")  # not a name of its certificate
    assert world.coordinator.public_url == ""


@pytest.mark.parametrize(
    "message", [pb.StartSessionRequest, pb.SetVarRequest, pb.PutConnectionRequest, pb.SendEventRequest]
)
def test_requests_come_back_from_json_as_they_were(message: type) -> None:
    """What `to_json` says, `from_json` takes."""
    made = message()
    for field in made.DESCRIPTOR.fields:
        if field.type == field.TYPE_BYTES and not messages.is_map(field):
            setattr(made, field.name, b'{"a":[1,null]}')
        elif field.type == field.TYPE_STRING and not messages.is_repeated(field):
            setattr(made, field.name, "text")
    again = message()
    messages.from_json(again, messages.to_json(made))
    assert again == made


def test_payloads_show_json_and_never_guess_at_the_rest() -> None:
    shown = messages.to_json(pb.Session(result=jpb.Payload(encoding=jpb.ENCODING_JSON, data=b"[1]", preview="[1]")))
    assert (shown["result"]["value"], "data" in shown["result"]) == ([1], False)
    shown = messages.to_json(pb.Session(result=jpb.Payload(encoding=jpb.ENCODING_PICKLE, data=b"\x80", preview="<x>")))
    assert (shown["result"]["data"], "value" in shown["result"]) == ("gA==", False)
