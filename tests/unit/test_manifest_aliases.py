"""Anchors, aliases and merge keys: what they mean, where their faults are told, and that they make nothing large."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_samples import parse_manifest
from perdure_server.core.errors import Problems
from perdure_server.manifest.composing import MAX_BYTES, MAX_DEPTH, plain
from perdure_server.manifest.manifest import Manifest
from perdure_server.manifest.overriding import with_values

THEIRS = "autokitteh.yaml"
SHARED = """\
version: v1
x-durable: &durable {is_durable: false, type: webhook}
project:
  name: demo
  vars:
    - &region {name: REGION, value: &eu "eu-1"}
    - {name: FALLBACK, value: *eu}
    - {<<: *region, name: OTHER}
  triggers:
    - &hook
      name: first
      type: webhook
      filter: &mine data.a == 1
      call: main.py:f
    - <<: *hook
      name: second
      call: main.py:g
    - <<: [*durable, *hook]
      name: third
    - {name: fourth, schedule: "@daily", filter: *mine}
"""


def parse(text: str, file: str = THEIRS) -> Manifest:
    return parse_manifest(text, "default", file)


def problems(text: str, file: str = THEIRS) -> list[str]:
    with pytest.raises(Problems) as caught:
        parse(text, file)
    return [f"{each.code} {each.line}:{each.column} {each.message}" for each in caught.value.problems]


def test_a_manifest_of_theirs_with_anchors_aliases_and_merge_keys() -> None:
    manifest = parse(SHARED)
    assert manifest.resolve_vars({}) == {"REGION": "eu-1", "FALLBACK": "eu-1", "OTHER": "eu-1"}
    facts = [(each.name, each.type, each.filter, each.call, each.durable) for each in manifest.triggers]
    assert facts == [
        ("first", "webhook", "data.a == 1", "main.py:f", True),
        ("second", "webhook", "data.a == 1", "main.py:g", True),
        ("third", "webhook", "data.a == 1", "main.py:f", False),
        ("fourth", "schedule", "data.a == 1", "", True),
    ]


def test_a_manifest_of_ours_has_them_too() -> None:
    text = """\
limits: &limits {memory: 1GiB, processes: 8}
triggers:
  a: &a {webhook: {path: one}, call: main.py:f, retry: 2}
  b: {<<: *a, webhook: {path: two}}
"""
    a, b = parse(text, "perdure.yaml").triggers
    assert (a.retry, b.retry, b.call) == (2, 2, "main.py:f")
    assert b.webhook is not None
    assert b.webhook.path == "two"
    # Keys that nobody knows are told all the same: here nothing has to be kept under one.
    assert problems("x: &x {memory: 1GiB}\nlimits: *x", "perdure.yaml") == ["P0102 1:1 unknown key 'x'"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{<<: {a: 1, b: 1}, b: 2}", {"a": 1, "b": 2}),
        ("{b: 2, <<: {a: 1, b: 1}}", {"a": 1, "b": 2}),
        ("{<<: [{a: 1, b: 1}, {b: 2, c: 2}]}", {"a": 1, "b": 1, "c": 2}),
        ("{<<: {<<: {a: 1, b: 1}, b: 2}, c: 3}", {"a": 1, "b": 2, "c": 3}),
        ("{<<: []}", {}),
        ("{'<<': 1}", {"<<": 1}),
        ("[&a 1, *a, &a 2, *a]", [1, 1, 2, 2]),
        ("{&k name: a, b: *k}", {"name": "a", "b": "name"}),
        ("[&a , *a]", [None, None]),
    ],
)
def test_what_they_mean(text: str, expected: Any) -> None:
    assert plain(text) == expected


_TRIGGERS = "version: v1\nproject:\n  triggers:\n"
WRONG = {
    # At the anchor, where it is written, and once.
    _TRIGGERS + "    - {name: a, type: webhook, filter: &f data.}\n    - {name: b, type: webhook, filter: *f}": [
        "P0105 4:48 filter: it ends too early"
    ],
    _TRIGGERS + "    - {name: a, type: webhook, filter: &f 'data.'}": ["P0105 4:49 filter: it ends too early"],
    _TRIGGERS + "    - &t {name: a, type: webhook}\n    - *t": ["P0103 4:7 'a' is the name of a trigger already"],
    _TRIGGERS + "    - {<<: {kind: x}, name: a, type: webhook}": ["P0109 4:13 unknown key 'kind'"],
    _TRIGGERS + "    - *t": ["P0101 4:7 found undefined alias 't'"],
    _TRIGGERS + "    - &t {name: a, more: [*t]}": ["P0101 4:27 the alias *t is in what it stands for"],
    _TRIGGERS + "    - &t {<<: *t}": ["P0101 4:15 the alias *t is in what it stands for"],
    _TRIGGERS + "    - {<<: 5, name: a}": ["P0101 4:12 '<<' takes a mapping, or a list of mappings"],
    _TRIGGERS + "    - {<<: [{name: a}, 5]}": ["P0101 4:24 '<<' takes a mapping, or a list of mappings"],
    _TRIGGERS + "    - {<<: {}, <<: {}}": ["P0101 4:16 '<<' is given twice in a mapping: it takes a list, too"],
    _TRIGGERS + "    - {name: a, name: b, type: webhook}": ["P0103 4:17 'name' is given twice"],
}


@pytest.mark.parametrize("text", WRONG)
def test_faults_have_their_place(text: str) -> None:
    assert problems(text) == WRONG[text]


def test_what_is_secret_is_not_shown_wherever_it_is_written() -> None:
    text = SHARED + "    - {name: bad, type: webhok}\n"
    text = text.replace("name: REGION,", "name: REGION, secret: true, bad: 1,")
    with pytest.raises(Problems) as caught:
        parse(text)
    assert not any("eu-1" in str(each.source) for each in caught.value.problems)


def _laughs(levels: int, width: int) -> str:
    names = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * width)}]\n" for n in range(1, levels))
    return "l0: &l0 lol\n" + names


@pytest.mark.parametrize(
    "text",
    [
        _laughs(10, 9),
        _laughs(18, 2),
        _laughs(12, 9).replace("[", "{<<: [").replace("]", "]}").replace("l0: &l0 lol", "l0: &l0 {a: lol}"),
        "a: &a " + "x" * 10_000 + "\nb: [" + "*a, " * 26 + "]",
        "a: &a " + "x" * 250_000 + "\nb: *a",
        "a: &a\n" + "b: [" + "*a, " * 60_000 + "]",
    ],
)
def test_what_is_large_only_when_written_out_is_refused(text: str) -> None:
    (problem,) = problems(text)
    assert "with its aliases written out it has more than 262144 characters" in problem
    assert not problem.startswith("P0101 None")


def test_aliases_make_nothing_deeper_than_it_may_be() -> None:
    half = MAX_DEPTH // 2
    for extra, deep in ((0, False), (1, True)):
        text = f"a: &a {'[' * half}{']' * half}\nb: {'[' * (half - 1 + extra)}*a{']' * (half - 1 + extra)}"
        assert any("too deeply nested" in problem for problem in problems(text)) == deep
    assert "too deeply nested" in problems(_laughs(40, 1))[0]


def test_other_values_for_a_run_leave_the_rest_as_it_was() -> None:
    changed = with_values(THEIRS, SHARED.encode(), {"REGION": "us-1"}).decode()
    before, after = parse(SHARED), parse(changed)
    assert after.resolve_vars({}) == {"REGION": "us-1", "FALLBACK": "eu-1", "OTHER": "eu-1"}
    assert [each.filter for each in after.triggers] == [each.filter for each in before.triggers]


_LEAVES = st.sampled_from(["x", "1", "true", "~", "''"])
_PIECES = st.recursive(
    _LEAVES | st.sampled_from(["*a", "*b", "&a x", "&b [*a]", "&a {k: *b}"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(["<<", "k", "name", "&a m"]), inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(_PIECES)
def test_whatever_is_written_is_read_or_a_problem(text: str) -> None:
    with contextlib.suppress(yaml.MarkedYAMLError):
        assert len(str(plain(text))) <= 8 * MAX_BYTES


@pytest.mark.parametrize("word", ["yes", "on", "y", "Y", "true", "TRUE"])
def test_words_for_true_are_those_of_their_reader(word: str) -> None:
    (trigger,) = parse(_TRIGGERS + f"    - {{name: a, type: webhook, is_sync: {word}, is_durable: no}}").triggers
    assert (trigger.sync, trigger.durable) == (True, False)
    (trigger,) = parse(_TRIGGERS + "    - {name: a, type: webhook, is_sync: , is_durable: ~}").triggers
    assert (trigger.sync, trigger.durable) == (False, True)
    assert problems(_TRIGGERS + "    - {name: a, type: webhook, is_sync: maybe}") == [
        "P0103 4:41 is_sync must be true or false, not text"
    ]
