"""`autokitteh.yaml`, versions v1 and v2: read as they are; what is wrong is told with its place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifest_samples import parse_manifest
from perdure_server.core.errors import Problems
from perdure_server.manifest.connections import Connection
from perdure_server.manifest.manifest import Manifest, load_manifest
from perdure_server.manifest.network import Network
from perdure_server.manifest.triggers import Schedule, Trigger, Webhook
from perdure_server.manifest.unheard import unheard
from perdure_server.manifest.variables import Variable

FILE = "autokitteh.yaml"
ALL_HEADERS = Webhook(keep_headers=("*",))
FULL = """\
version: v1

project:
  name: ticket_bot
  display_name: A bot for tickets

  connections:
    - name: slack_conn
      integration: slack
    - name: sheets
      integration: googlesheets
      vars:
        - name: SHEET
          value: ${not a reference}

  vars:
    - name: CHANNEL
      description: where to say it
      value: "#ops"
    - name: LIMIT
      value: 5
    - name: TOKEN
      value: ""
      secret: true

  triggers:
    - name: asked
      type: webhook
      webhook: {}
      call: main.py:on_request
      is_sync: true
    - name: told
      type: connection
      connection: slack_conn
      event_type: slash_command
      filter: data.command == "/ticket" && data.text.startsWith("new")
      call: flows/slack.py:on_command
      is_durable: false
    - name: each_morning
      type: schedule
      schedule: "0 8 * * 1-5"
      timezone: America/New_York
      call: main.py:on_morning
    - name: source
      connection: slack_conn
    - name: hook
      webhook:
    - name: tick
      schedule: "@every 1m"
      event_type: ""
      is_sync: false
"""


def parse(text: str) -> Manifest:
    return parse_manifest(text, "default", FILE)


def problems(text: str) -> list[str]:
    with pytest.raises(Problems) as caught:
        parse(text)
    return [f"{p.code} {p.line}:{p.column} {p.message}" for p in caught.value.problems]


def test_a_full_manifest_of_v1() -> None:
    manifest = parse(FULL)
    assert (manifest.name, manifest.form, manifest.file, manifest.network) == (
        "ticket_bot",
        "autokitteh",
        FILE,
        Network("all"),
    )
    assert manifest.vars == (
        Variable("CHANNEL", "#ops", line=17, column=7),
        Variable("LIMIT", "5", line=20, column=7),
        Variable("TOKEN", "", secret=True, line=22, column=7),
    )
    assert manifest.connections == (
        Connection("slack_conn", "slack", line=8, column=7),
        Connection("sheets", "googlesheets", (Variable("SHEET", "${not a reference}", line=13, column=11),), 10, 7),
    )
    asked, told, morning, source, hook, tick = manifest.triggers
    assert asked == Trigger("asked", "webhook", "main.py:on_request", sync=True, webhook=ALL_HEADERS, line=27, column=7)
    assert told == Trigger(
        "told",
        "connection",
        "flows/slack.py:on_command",
        'data.command == "/ticket" && data.text.startsWith("new")',
        durable=False,
        connection="slack_conn",
        event_type="slash_command",
        line=32,
        column=7,
    )
    assert morning.schedule == Schedule("0 8 * * 1-5", "America/New_York")
    assert (source.type, source.call) == ("connection", "")
    assert (hook.type, hook.webhook) == ("webhook", ALL_HEADERS)
    assert (tick.type, tick.schedule) == ("schedule", Schedule("@every 1m"))


def test_values_are_taken_as_they_are() -> None:
    assert parse(FULL).resolve_vars({}) == {
        "CHANNEL": "#ops",
        "LIMIT": "5",
        "TOKEN": "",
        "sheets__SHEET": "${not a reference}",
    }
    assert parse(FULL).secrets == {"TOKEN"}


@pytest.mark.parametrize(("version", "durable"), [("v1", True), ("v2", False)])
def test_sessions_are_durable_by_default_in_v1_only(version: str, durable: bool) -> None:
    text = f"""\
version: {version}
project:
  name: p
  triggers:
    - {{name: a, webhook: {{}}, call: "a.py:f"}}
    - {{name: b, webhook: {{}}, call: "a.py:f", is_durable: true}}
    - {{name: c, webhook: {{}}, call: "a.py:f", is_durable: false}}
"""
    assert [trigger.durable for trigger in parse(text).triggers] == [durable, True, False]


_TRIGGER = "version: v1\nproject:\n  triggers:\n    - "
WRONG = {
    "": ["P0109 None:None the manifest is empty"],
    "project: {name: p}": ["P0109 1:1 the manifest has no `version`"],
    "version: v3\nproject: {name: p}": ["P0109 1:10 version 'v3' is not known"],
    "version: v1": ["P0104 1:1 the manifest has no `project`"],
    "version: v1\nproject: {nmae: p}": ["P0109 2:11 unknown key 'nmae'"],
    "version: v1\nproject: {name: my project}": ["P0103 2:17 'my project' is no valid name"],
    "version: v1\nproject: {vars: [{value: x}, {name: A}, {name: A}]}": [
        "P0104 2:18 a variable has no `name`",
        "P0103 2:41 variable A is given twice",
    ],
    "version: v1\nproject: {connections: [{name: a}, {name: b, integration: slack, vars: [{name: x, val: 1}]}]}": [
        "P0104 2:25 a connection has no `integration`",
        "P0109 2:83 unknown key 'val'",
    ],
    _TRIGGER + "{name: a}": ["P0104 4:7 a trigger has no `type`"],
    _TRIGGER + "{type: webhook}": ["P0104 4:7 a trigger has no `name`"],
    _TRIGGER + "{name: a, type: webhok}": ["P0103 4:23 type is one of webhook, schedule, connection, not 'webhok'"],
    _TRIGGER + "{name: a, type: schedule}": ["P0104 4:7 a trigger of type schedule has no `schedule`"],
    _TRIGGER + "{name: a, type: schedule, webhook: {}, schedule: '@daily'}": [
        "P0103 4:33 a trigger of type schedule has no `webhook`"
    ],
    _TRIGGER + "{name: a, webhook: {}, schedule: '@daily'}": ["P0104 4:7 a trigger is of more types than one"],
    _TRIGGER + "{name: a, webhook: {path: x}}": ["P0109 4:27 unknown key 'path'"],
    _TRIGGER + "{name: a, connection: b}": ["P0107 4:29 there is no connection 'b'"],
    _TRIGGER + "{name: a, schedule: '@daily', is_sync: true}": ["P0103 4:37 `is_sync` goes with `webhook` only"],
    _TRIGGER + "{name: a, webhook: {}, call: main.star:f}": ["P0103 4:36 'main.star:f' is no valid call"],
    _TRIGGER + "{name: a, webhook: {}, filter: 'data.'}": ["P0105"],
    _TRIGGER + "{name: a, schedule: 61 * * * *}": ["P0106 4:27"],
    _TRIGGER + "{name: a, schedule: 61 * * * *, timezone: Mars/Olympus}": ["P0106 4:27", "P0106 4:49"],
    _TRIGGER + "{name: a, schedule: 0 0 13 *}": ["P0106 4:27 a schedule has five to seven fields"],
    "version: v1\nproject: {name: 'a": ["P0101"],
    "version: v1 # " + "y" * 300_000: ["P0101 None:None the file is larger"],
    _TRIGGER + "{name: a, webhook: {}}\n    - {name: a, webhook: {}}": [
        "P0103 5:7 'a' is the name of a trigger already"
    ],
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong(text: str) -> None:
    found = problems(text)
    assert len(found) == len(WRONG[text])
    for told, wanted in zip(found, WRONG[text], strict=True):
        assert told.startswith(wanted)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("0 9 * * 1-5", "0 9 * * 1-5"),
        ("*/5 * * * * *", "0 */5 * * * * *"),  # every five minutes, not seconds
        ("0 0 1 1 * 2027", "0 0 0 1 1 * 2027"),
        ("30 0 0 1 1 * 2027", "30 0 0 1 1 * 2027"),
        ("TZ=Asia/Tokyo 0 6 * * * *", "TZ=Asia/Tokyo 0 0 6 * * * *"),
        ("0 6 * * MON#1  # the first Monday", "0 6 * * MON"),  # so every one
        ("0 6 1 * ?", "0 6 1 * ?"),
        ("0 0 13 * FRI", "0 0 13 * &FRI"),
        ("0 0 0 13 * 5 2027", "0 0 0 13 * &5 2027"),
        ("0 0 13 * FRI *", "0 0 0 13 * &FRI *"),
        ("0 0 1-7 * */2", "0 0 1-7 * */2"),
        ("0 9 * janu-MARCH,sept we,saturday", "0 9 * JAN-MAR,SEP WED,SAT"),
        ("0 9 1 1 * */3", "0 0 9 1 1 * 2000-2100/3"),
        ("0 9 1 1 * 2026,*/3", "0 0 9 1 1 * 2026,2000-2100/3"),
        ("@daily", "@daily"),
        ("@daily # at night", "@daily"),
        ("@every 90s", "@every 90s"),
        ("@every 1h/15m", "@every 1h/15m"),
        ("@every 1.5d", "@every 1.5d"),
        ("@every 1500ms/500ms", "@every 1s/0s"),
        ("@every 1h/", "@every 1h"),
        ("CRON_TZ=UTC @every 1h # why", "CRON_TZ=UTC @every 1h"),
    ],
)
def test_schedules_mean_what_they_mean_there(theirs: str, ours: str) -> None:
    (trigger,) = parse(_TRIGGER + f"{{name: a, schedule: '{theirs}'}}").triggers
    assert trigger.schedule == Schedule(ours)


def test_triggers_that_no_service_starts_are_told() -> None:
    text = """
version: v1
project:
  connections:
    - {name: hub, integration: github}
    - {name: form, integration: googleforms}
    - {name: mail, integration: gmail}
    - {name: chat, integration: discord}
    - {name: own, integration: generic}
  triggers:
    - {name: a, connection: hub, event_type: push, call: "m.py:f"}
    - {name: b, connection: form, event_type: responses, call: "m.py:f"}
    - {name: c, connection: mail, event_type: mailbox_change, call: "m.py:f"}
    - {name: d, connection: chat, event_type: message_create, call: "m.py:f"}
    - {name: e, connection: chat, event_type: modal_submit, call: "m.py:f"}
    - {name: f, connection: mail}
    - {name: g, webhook: {}}
    - {name: h, connection: own, event_type: any, call: "m.py:f"}
"""
    assert [str(each.message) for each in unheard(parse(text))] == [
        "trigger b waits for events of form: googleforms sends perdure none",
        "trigger c waits for events of mail: gmail sends perdure none",
        "trigger d waits for events of chat: discord sends perdure none of type message_create",
        "trigger f waits for events of mail: gmail sends perdure none",
    ]
    (*_, last) = unheard(parse(text))
    assert last.help == "ask for what is new in a schedule, or bring them: perdure events send mail"


def test_the_event_type_of_a_webhook_is_its_method() -> None:
    text = _TRIGGER + "{name: a, type: webhook, event_type: get, filter: 'data.x == 1 || data.y == 2'}"
    assert parse(text).triggers[0].filter == 'event_type == "get" && (data.x == 1 || data.y == 2)'
    assert parse(_TRIGGER + "{name: a, webhook: , event_type: post}").triggers[0].filter == 'event_type == "post"'


@given(
    tree=st.recursive(
        st.sampled_from(["", "v1", "a", "main.py:f", "@daily", "true", "5", "data.a == 1", "webhook", "[]", "{}"]),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(
                    [
                        "name",
                        "type",
                        "schedule",
                        "webhook",
                        "connection",
                        "event_type",
                        "filter",
                        "is_sync",
                        "call",
                        "vars",
                        "value",
                    ]
                ),
                inner,
                max_size=4,
            ).map(lambda found: "{" + ", ".join(f"{key}: {value}" for key, value in found.items()) + "}")
            | st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]")
        ),
        max_leaves=10,
    ),
    key=st.sampled_from(["triggers", "vars", "connections", "name", "display_name"]),
)
def test_no_tree_is_anything_but_a_manifest_or_problems(tree: str, key: str) -> None:
    try:
        told = parse(f"version: v1\nproject: {{{key}: {tree}}}\n").file
    except Problems as wrong:
        told = wrong.render()
    assert told


def test_it_is_read_where_there_is_no_other(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(FULL)
    assert load_manifest(tmp_path).form == "autokitteh"
    (tmp_path / "perdure.yaml").write_text("name: ours")
    assert load_manifest(tmp_path) == Manifest("ours")
