"""Triggers and connections of a manifest: all of their forms, and all their faults at once, each at its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifest_samples import parse_manifest
from perdure_server.core.errors import PerdureError, Problems
from perdure_server.manifest.checking import check_handlers, wrong_handlers
from perdure_server.manifest.connections import Connection
from perdure_server.manifest.exports import Export, Exports
from perdure_server.manifest.overriding import with_values
from perdure_server.manifest.triggers import (
    Concurrency,
    Debounce,
    Rate,
    Schedule,
    Signature,
    Trigger,
    Webhook,
)
from perdure_server.manifest.variables import Variable

FULL = """\
vars:
  HOOK_KEY: {secret: true}
  CHANNEL: "@slack.team"
connections:
  team:
    integration: slack
    vars: {token: "${SLACK_TOKEN}", base_url: "${SLACK_URL:-https://slack.test}"}
  shop: generic
triggers:
  order:
    webhook:
      path: orders/new
      methods: [post, PUT]
      signature: {kind: generic, secret: HOOK_KEY, header: X-Sum, algorithm: sha512, encoding: base64, prefix: v1=}
      dedup_header: X-Request-Id
      max_body: 64KiB
      cors: "*"
      keep_headers: [Authorization]
      timeout: 5s
    call: main.py:on_order
    filter: data.body.json.total > 10
    sync: true
    concurrency: {limit: 1, key: data.body.json.customer}
    rate: {limit: 10, per: 1m, over: drop, key: data.body.json.customer}
    debounce: {for: 2s, max: 10s, key: data.body.json.customer}
    retry: 3
  plain: {webhook: , call: main.py:on_order}
  nightly:
    schedule: {cron: "0 3 * * *", timezone: Europe/Berlin, catch_up: all, overlap: skip, jitter: 30s}
    call: main.py:on_time
    durable: false
  often: {schedule: "@every 5m", call: main.py:on_time, concurrency: 2, debounce: 1s}
  told: {connection: "@slack.team", event_type: message, call: main.py:on_message}
  heard: {connection: shop}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(Problems) as caught:
        parse_manifest(text, "default")
    return [f"{p.code} {p.line}:{p.column} {p.message}" for p in caught.value.problems]


def test_all_forms_of_triggers() -> None:
    order, plain, nightly, often, told, heard = parse_manifest(FULL, "p").triggers
    assert order == Trigger(
        "order",
        "webhook",
        "main.py:on_order",
        "data.body.json.total > 10",
        sync=True,
        webhook=Webhook(
            "orders/new",
            ("POST", "PUT"),
            Signature("generic", "HOOK_KEY", "X-Sum", "sha512", "base64", "v1="),
            "X-Request-Id",
            65536,
            ("*",),
            ("authorization",),
            5.0,
        ),
        concurrency=Concurrency(1, "data.body.json.customer"),
        rate=Rate(10, 60.0, "drop", "data.body.json.customer"),
        debounce=Debounce(2.0, 10.0, "data.body.json.customer"),
        retry=3,
        line=10,
        column=3,
    )
    assert plain == Trigger("plain", "webhook", "main.py:on_order", webhook=Webhook(), line=27, column=3)
    assert nightly.schedule == Schedule("0 3 * * *", "Europe/Berlin", "all", "skip", 30.0)
    assert not nightly.durable
    assert (often.schedule, often.concurrency, often.debounce) == (Schedule("@every 5m"), Concurrency(2), Debounce(1.0))
    assert (told.type, told.connection, told.event_type) == ("connection", "team", "message")
    assert (heard.connection, heard.call) == ("shop", "")


def test_connections_are_variables() -> None:
    manifest = parse_manifest(FULL, "p")
    team, shop = manifest.connections
    assert (team.integration, shop) == ("slack", Connection("shop", "generic", line=8, column=3))
    assert [each.name for each in manifest.variables] == ["team__token", "team__base_url", "HOOK_KEY", "CHANNEL"]
    assert manifest.secrets == {"HOOK_KEY", "team__token"}
    assert manifest.resolve_vars({"SLACK_TOKEN": "xoxb"}) == {
        "CHANNEL": "team",
        "team__token": "xoxb",
        "team__base_url": "https://slack.test",
    }


def test_a_deployment_keeps_triggers_and_connections_as_json_without_secrets() -> None:
    manifest = parse_manifest(FULL, "p")
    kept = json.loads(json.dumps(manifest.to_json()))
    assert tuple(Trigger.of_json(each) for each in kept["triggers"]) == manifest.triggers
    team, shop = (Connection.of_json(each) for each in kept["connections"])
    assert shop == manifest.connections[1]
    assert [variable.value for variable in team.vars] == [None, "${SLACK_URL:-https://slack.test}"]
    assert Trigger.of_json({"name": "a", "type": "webhook", "of_another_version": 1}) == Trigger("a", "webhook")


EIGHT = """\
nmae: shop
vars:
  KEY: {secret: true, value: letmein}
connections:
  team: slak
triggers:
  order:
    webhook: {signature: {kind: githbu, secret: KEE}}
    filter: data.total >
    call: main.py
  nightly: {schedule: "61 * * * *"}
"""


def test_eight_faults_are_eight_errors_each_with_place_and_hint() -> None:
    with pytest.raises(Problems) as caught:
        parse_manifest(EIGHT, "default")
    found = [(p.code, p.line, p.column) for p in caught.value.problems]
    assert found == [
        ("P0102", 1, 1),
        ("P0103", 3, 30),
        ("P0230", 5, 9),
        ("P0103", 8, 33),
        ("P0107", 8, 49),
        ("P0105", 9, found[5][2]),
        ("P0103", 10, 11),
        ("P0106", 11, 23),
    ]
    assert (found[5][2] or 0) >= 13
    assert all(problem.help for problem in caught.value.problems)
    text = caught.value.render()
    for hint in ("name", "slack", "github", "KEY"):
        assert f"did you mean '{hint}'?" in text
    assert "letmein" not in text
    assert "      webhook: {signature: {kind: githbu, secret: KEE}}\n                                  ^" in text


WRONG = {
    "triggers: [a]": ["P0103 1:11 triggers must be a mapping, not a list"],
    "triggers: {a b: {webhook: x}}": ["P0103 1:12 'a b' is no name of a trigger"],
    "triggers: {a: }": ["P0104 1:14 trigger a has none of `webhook`, `schedule`, `connection`"],
    "triggers: {a: text}": ["P0103 1:15 trigger a must be a mapping, not text"],
    "triggers: {a: {webhook: x, schedule: '@daily'}}": ["P0103 1:28 trigger a has `webhook` already"],
    "triggers: {a: {webhook: /x}}": ["P0103 1:25 '/x' is no valid webhook"],
    "triggers: {a: {webhook: {methods: 5}}}": ["P0103 1:35 each of methods must be text, not a number"],
    "triggers: {a: {webhook: {signature: github}}}": ["P0103 1:37 signature must be a mapping, not text"],
    "triggers: {a: {webhook: {signature: {kind: slack}}}}": ["P0104 1:37 signature has no `secret`"],
    "vars: {K: {secret: true}}\ntriggers: {a: {webhook: {signature: {kind: generic, secret: K}}}}": [
        "P0104 2:37 signature has no `header`"
    ],
    "vars: {K: {secret: true}}\ntriggers: {a: {webhook: {signature: {kind: slack, secret: K, prefix: x}}}}": [
        "P0103 2:62 `prefix` goes with `kind: generic` only"
    ],
    "triggers: {a: {webhook: x}, b: {webhook: {path: x}}}": ["P0103 1:29 the path 'x' of b is that of a already"],
    "triggers: {a: {schedule: {timezone: UTC}}}": ["P0104 1:26 schedule has no `cron`"],
    "triggers: {a: {schedule: {cron: '@daily', catch_up: some}}}": [
        "P0103 1:53 catch_up is one of none, last, all, not 'some'"
    ],
    "triggers: {a: {schedule: '@daily', sync: true}}": ["P0103 1:36 `sync` goes with `webhook` only"],
    "triggers: {a: {schedule: {cron: '@daily', timezone: Mars/Olympus}}}": ["P0106 1:53"],
    "triggers: {a: {schedule: {cron: '61 * * * *', timezone: Mars/Olympus}}}": ["P0106 1:33", "P0106 1:57"],
    "triggers: {a: {webhok: x}}": ["P0102 1:16 unknown key 'webhok'"],
    "triggers: {a: {schedule: {crom: '@daily'}}}": ["P0102 1:27 unknown key 'crom'"],
    "triggers: {a: {webhook: , event_type: x}}": ["P0103 1:27 `event_type` goes with `connection` only"],
    "triggers: {a: {connection: nobody}}": ["P0107 1:28 there is no connection 'nobody'"],
    "connections: {a: slack}\ntriggers: {b: {connection: '@github.a'}}": [
        "P0107 2:28 there is no connection 'a' to 'github'"
    ],
    "connections: {a: slack}\ntriggers: {a: {webhook: }}": ["P0103 2:12 'a' is the name of a connection already"],
    "connections: {a-b: slack}": ["P0103 1:15 'a-b' is no name of a connection"],
    "connections: {a: {vars: {x: y}}}": ["P0104 1:18 connection a has no `integration`"],
    "connections: {a: {integration: slack, vars: {tokn: x}}}": ["P0102 1:46 slack has no value 'tokn'"],
    "connections: {a: {integration: slack, vars: {token: xoxb}}}": [
        "P0103 1:53 variable token is secret: its value is not for the manifest, which is part of the build"
    ],
    "vars: {A: '${B'}": ["P0103 1:11 '${B' is no reference"],
    "vars: {A: '${PERDURE_KEY}'}": ["P0103 1:11 PERDURE_KEY is perdure's own, no project's"],
    "vars: {A: {env: PERDURE_TOKEN}}": ["P0103 1:17 PERDURE_TOKEN is perdure's own, no project's"],
    "vars: {A: '@slack.team'}": ["P0107 1:11 there is no connection 'team' to 'slack'"],
    "triggers: {a: {webhook: , retry: many, concurrency: 0, rate: {limit: 1}, debounce: {max: 1s}}}": [
        "P0103 1:34 retry must be a number, not text",
        "P0103 1:53 concurrency must be between 1 and 1,000,000, not 0",
        "P0104 1:62 rate has no `per`",
        "P0104 1:84 debounce has no `for`",
    ],
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong(text: str) -> None:
    found = problems(text)
    assert len(found) == len(WRONG[text])
    for told, wanted in zip(found, WRONG[text], strict=True):
        assert told.startswith(wanted)


def test_references_to_the_environment() -> None:
    manifest = parse_manifest("vars:\n  A: '${X}-${Y:-y}'\n  B: $${X}\n  C: '@@slack.team'\n  D: '$5'\n", "p")
    assert manifest.resolve_vars({"X": "x"}) == {"A": "x-y", "B": "${X}", "C": "@slack.team", "D": "$5"}
    assert manifest.resolve_vars({"X": "", "Y": ""})["A"] == "-y"
    with pytest.raises(Problems) as caught:
        parse_manifest("vars:\n  A: ${X}\n  B: '${Y}'\n", "p").resolve_vars({})
    assert [(p.code, p.line, p.message) for p in caught.value.problems] == [
        ("P0108", 2, "variable A: ${X} is not set in the environment"),
        ("P0108", 3, "variable B: ${Y} is not set in the environment"),
    ]


def test_handlers_must_be_in_the_code() -> None:
    exports = [Export("main.py", 1, "on_order", ("event",)), Export("flows/night.py", 1, "run", ())]
    text = "triggers:\n  a: {webhook: , call: main.py:on_oder}\n  b: {webhook: , call: flows/nigth.py:run}\n"
    broken = PerdureError("P0113", "invalid syntax", file="broken.py", line=3)
    code = Exports(tuple(exports), (broken,))
    check_handlers(parse_manifest("triggers: {a: {webhook: , call: ./main.py:on_order}}", "p"), code)
    with pytest.raises(Problems) as caught:
        check_handlers(parse_manifest("triggers: {a: {webhook: , call: broken.py:f}}", "p"), code)
    assert caught.value.problems == (broken,)
    found = wrong_handlers(parse_manifest(text, "p"), code, text)
    assert [str(problem) for problem in found] == [
        "perdure.yaml:2:24: trigger a: main.py has no function 'on_oder'",
        "perdure.yaml:3:24: trigger b: there is no file flows/nigth.py with functions",
    ]
    assert [problem.help for problem in found] == [
        "did you mean 'on_order'?",
        "did you mean 'flows/night.py'?",
    ]


_KEY = st.sampled_from(["webhook", "schedule", "connection", "call", "filter", "sync", "path", "cron", "limit", "key"])
_LEAF = st.sampled_from(["", "main.py:f", "data.a == 1", "@daily", "5s", "true", "3", "slack", "${X", "'x'", "[]"])
_TREE = st.recursive(
    _LEAF,
    lambda inner: (
        st.dictionaries(_KEY, inner, max_size=4).map(
            lambda found: "{" + ", ".join(f"{key}: {value}" for key, value in found.items()) + "}"
        )
        | st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]")
    ),
    max_leaves=12,
)


@given(tree=_TREE, connections=_TREE)
def test_no_tree_is_anything_but_a_manifest_or_problems(tree: str, connections: str) -> None:
    text = f"triggers: {{t: {tree}}}\nconnections: {connections}\n"
    try:
        triggers = parse_manifest(text, "default").triggers
    except Problems as problems:
        told = problems.render()
    else:
        told = "sound"
        assert tuple(Trigger.of_json(json.loads(json.dumps(each.to_json()))) for each in triggers) == triggers
    assert told


def test_variables_have_a_description() -> None:
    manifest = parse_manifest("vars: {A: {value: x, description: what it is for}}", "p")
    assert manifest.vars == (Variable("A", "x", line=1, column=8),)


@pytest.mark.parametrize("value", ["x", "${HOME}", "@slack.team", "@@x", "$${Y}", "", "@", "a: b"])
def test_a_value_of_the_command_line_is_taken_as_it_is(value: str) -> None:
    theirs = b"version: v1\nproject:\n  name: p\n  vars:\n    - {name: B, value: b, secret: false}\n"
    for file, text in (
        ("perdure.yaml", b"vars: {B: {env: B}}\nactivities: {x: {retry: {on: [E]}}}"),
        ("autokitteh.yaml", theirs),
        ("perdure.yaml", b""),
    ):
        changed = with_values(file, text, {"A": value, "B": value}).decode()
        assert parse_manifest(changed, "p", file).resolve_vars({}) == {"A": value, "B": value}


@pytest.mark.parametrize("kind", ["triggers", "connections"])
def test_too_many_of_a_kind_are_one_problem(kind: str) -> None:
    """However much more is wrong with them: to say what each may have meant takes time that grows with their square."""
    each = {"triggers": "{connection: none%d}", "connections": "http"}[kind]
    text = f"{kind}:\n" + "".join(f"  t{n}: {each % n if '%' in each else each}\n" for n in range(502))
    with pytest.raises(Problems) as caught:
        parse_manifest(text, "p")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("P0103", 502)


def test_times_fit_their_columns() -> None:
    with pytest.raises(Problems) as caught:
        parse_manifest("triggers:\n  t: {webhook: , call: main.py:f, debounce: 36501d}\n", "p")
    assert [(problem.code, problem.line) for problem in caught.value.problems] == [("P0103", 2)]
