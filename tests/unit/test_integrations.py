"""The table of integrations, the factories that read its keys, and what is made of what services send."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import perdure.integrations
import pytest
from hypothesis import given
from hypothesis import strategies as st
from perdure.integrations import ConnectionInitError, connection
from perdure.integrations._tokens import moment
from perdure_server.core import integrations, receiving
from perdure_server.core.errors import PerdureError
from perdure_server.core.integrations import INTEGRATIONS
from perdure_server.core.receiving import Received, receive

ROOT = Path(__file__).parents[2]
SDK = Path(perdure.integrations.__file__).parent
FACTORIES = {name for name in perdure.integrations.__all__ if name.endswith("_client")}


def keys_read(module: Path) -> set[str]:
    """Names that `values.get(...)` and `values.need(...)` are called with."""
    calls = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call)]
    asked = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in ("get", "need")]
    return {arg.value for call in asked for arg in call.args if isinstance(arg, ast.Constant)}


def test_every_factory_is_in_the_table_and_the_other_way_round() -> None:
    named = {factory for entry in INTEGRATIONS.values() for factory in entry.factories}
    assert named == FACTORIES
    assert all(callable(getattr(perdure.integrations, name)) for name in FACTORIES)


@pytest.mark.parametrize("module", sorted(SDK.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_factories_read_only_keys_that_the_table_has(module: Path) -> None:
    made = {name for name in FACTORIES if f"def {name}(" in module.read_text()}
    entries = [entry for entry in INTEGRATIONS.values() if made & set(entry.factories)]
    read = keys_read(module) - ({"dsn"} if module.stem == "postgres" else set())
    assert made
    assert [key for key in read if not any(entry.key(key) for entry in entries)] == []


@pytest.mark.parametrize("entry", INTEGRATIONS.values(), ids=lambda entry: entry.name)
def test_ways_and_special_keys_are_keys(entry: integrations.Integration) -> None:
    named = [*(key for way in entry.ways for key in way), *filter(None, (entry.token, entry.signing_key))]
    assert [name for name in named if entry.key(name) is None] == []
    assert entry.signing in ("", *receiving.SENDERS)
    names = [name for key in entry.keys for name in (key.name, *key.also)]
    assert len(names) == len(set(names))


def test_the_page_on_connections_names_every_integration_client_and_key() -> None:
    page = (ROOT / "docs" / "how-to" / "connections.md").read_text(encoding="utf-8")
    services = page.partition("## Services")[2].partition("##")[0]
    rows = {row.split(" |")[0].removeprefix("| "): row for row in services.splitlines() if row.startswith("| ")}
    for entry in INTEGRATIONS.values():
        keys = [key.name for key in entry.keys if not key.name.startswith("oauth_")]
        assert [name for name in (*entry.factories, *keys) if f"`{name}`" not in rows[entry.name]] == []


def test_a_connection_lacks_what_the_nearest_way_lacks() -> None:
    hub = INTEGRATIONS["github"]
    assert hub.missing(()) == ("token",)
    assert hub.missing(["app_id", "install_id"]) in (("token",), ("private_key",))
    assert hub.missing(["pat"]) == hub.missing(["oauth_AccessToken"]) == ()


def test_an_unknown_integration_is_guessed() -> None:
    with pytest.raises(PerdureError, match="no integration 'slak'") as refused:
        integrations.integration("slak")
    assert (refused.value.code, refused.value.help) == ("P0230", "did you mean 'slack'?")
    assert integrations.integration("chatgpt").name == "openai"
    assert integrations.of_manifest("pipedrive").name == "generic"


def test_values_of_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("c__Old", "1")
    monkeypatch.setenv("c__empty", "")
    values = connection("c")
    assert (values.get("new", "Old"), values.get("empty", default="x"), values.keys()) == ("1", "x", ["Old", "empty"])
    with pytest.raises(ConnectionInitError, match="c__empty has no value") as lacks:
        values.need("empty")
    assert (lacks.value.code, lacks.value.help) == ("P0230", "perdure connections add generic c --set empty=@FILE")
    for name in ("", "a-b", "1a", "a b", None):
        with pytest.raises(ValueError, match="named by letters"):
            connection(name)  # type: ignore[arg-type]


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("c__url", "redis://127.0.0.1")
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(ModuleNotFoundError, match="needs the package redis"):
        perdure.integrations.redis_client("c")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-06-20T19:18:17Z", "2026-06-20T19:18:17+00:00"),
        ("2026-06-20T19:18:17+02:00", "2026-06-20T17:18:17+00:00"),
        ("2026-06-20 19:18:17.123 -0700 PDT", "2026-06-21T02:18:17+00:00"),
        ("2026-06-20 19:18:17", "2026-06-20T19:18:17+00:00"),
        ("soon", "None"),
        ("", "None"),
    ],
)
def test_times_of_tokens(text: str, at: str) -> None:
    found = moment(text)
    assert (found.isoformat() if found else "None") == at


texts = st.text() | st.sampled_from(["\ud83d", "a\ude00"])  # halves of pairs: JSON may have them, UTF-8 not
leaves = st.none() | st.booleans() | st.integers() | texts
json_values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
bodies = (
    st.binary()
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.builds(
        lambda kind, more: json.dumps({"type": kind, **more}).encode(),
        st.sampled_from(["url_verification", "event_callback", "invoice.paid", 1, 2, 3, True, None]) | texts,
        st.dictionaries(st.sampled_from(["event", "id", "event_id", "challenge", "trigger_id"]), json_values),
    )
)
headers = st.dictionaries(
    st.sampled_from(["content-type", "x-github-event", "x-github-delivery", "x-event-type", "webhook-id"]),
    st.sampled_from(["application/x-www-form-urlencoded", "application/json", "push", "ping"]) | st.text(),
)


@pytest.mark.parametrize("kind", receiving.SENDERS)
@given(headers=headers, body=bodies)
def test_whatever_a_service_sends_is_an_event_or_refused(kind: str, headers: dict[str, str], body: bytes) -> None:
    try:
        received = receive(kind, headers, body)
    except PerdureError as refusal:
        if refusal.code != "P0201":
            raise
        return
    assert isinstance(received, Received)
    assert bool(received.event_type) == (received.data is not None)
    assert received.event_type or received.reply is not None
    assert len(received.event_type) <= 256
    assert len(received.dedup) <= 256
    f"{received.event_type}{received.dedup}{(received.reply or {}).get('challenge')}".encode()  # does not raise
    json.dumps([received.data, received.reply])
