"""The JSON schema says of `perdure.yaml` what the reader does; a plan says what a manifest would change."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from manifest_samples import parse_manifest
from perdure_server.core.errors import Problems
from perdure_server.manifest.composing import plain
from perdure_server.manifest.manifest import KEYS
from perdure_server.manifest.planning import SECRET, Change, changes
from perdure_server.manifest.schema import json_schema

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCHEMA = json.loads(json.dumps(json_schema()))
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)


def examples() -> list[tuple[str, str]]:
    """Every perdure.yaml of the repository's examples, and every one that the docs show as a file."""
    found = [(str(path.relative_to(ROOT)), path.read_text()) for path in sorted(ROOT.glob("examples/**/perdure.yaml"))]
    for page in sorted(DOCS.rglob("*.md")):
        blocks = re.findall(r"^```yaml file=\S*perdure\.yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        found += [(f"{page.relative_to(ROOT)}[{n}]", block) for n, block in enumerate(blocks)]
    return found


EXAMPLES = examples()


@pytest.mark.parametrize("text", [text for _, text in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_examples_are_sound_for_reader_and_schema(text: str) -> None:
    assert parse_manifest(text, "p").name
    VALIDATOR.validate(plain(text))


@pytest.mark.parametrize(
    "text",
    [
        "nmae: x",
        "name: -x",
        "entry: main.main",
        "vars: {A: 1}",
        "vars: {A: {valeu: x}}",
        "vars: {a-b: x}",
        "activities: {a: {timeout: soon}}",
        "activities: {a: {retry: {factor: 0.5}}}",
        "limits: {memory: 1 parsec}",
        "limits: {memroy: 1MiB}",
        "limits: {journal_entries: 0}",
        "network: some",
        "requirements: {packages: x}",
        "runs_on: [gpu]",
        "connections: {a: slak}",
        "connections: {a: {}}",
        "triggers: {a b: {webhook: x}}",
        "triggers: {a: {webhook: /x}}",
        "triggers: {a: {schedule: {timezone: UTC}}}",
        "triggers: {a: {webhook: {signature: {kind: githbu, secret: A}}}}",
        "triggers: {a: {webhook: , rate: {limit: 1}}}",
        "triggers: {a: {webhook: , concurrency: 0}}",
        "triggers: {a: {webhook: , retry: many}}",
        "triggers: {a: {webhook: , cal: main.py:f}}",
    ],
)
def test_what_the_reader_refuses_an_editor_marks(text: str) -> None:
    with pytest.raises(Problems):
        parse_manifest(text, "p")
    assert not VALIDATOR.is_valid(plain(text))


_VALUES = st.sampled_from(
    [None, "", "x", "main.py:f", "5s", "@daily", "data.a", 0, 1, 1.5, True, "slack", ["GET"], "none", "1MiB"]
)


def _keys_of(schema: Any) -> list[str]:
    """All names that the schema has anywhere: what trees are made of."""
    if isinstance(schema, dict):
        names = list(schema["properties"]) if isinstance(schema.get("properties"), dict) else []
        return sorted({*names, *(name for each in schema.values() for name in _keys_of(each))})
    if isinstance(schema, list):
        return sorted({name for each in schema for name in _keys_of(each)})
    return []


def test_triggers_that_are_texts_are_told_with_the_others() -> None:
    with pytest.raises(Problems) as caught:
        parse_manifest("triggers: {a: x, b: '', c: , d: [1]}", "p")
    assert len(caught.value.problems) >= 3


@given(data=st.data())
def test_what_the_reader_takes_no_editor_marks(data: st.DataObject) -> None:
    names = st.sampled_from(_keys_of(SCHEMA))
    tree = st.recursive(_VALUES, lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=6)
    key = data.draw(st.sampled_from(sorted(KEYS)))
    document = {key: data.draw(tree)}
    text = yaml.safe_dump(document)
    assert VALIDATOR.is_valid(document) or not _is_sound(text), text


def _is_sound(text: str) -> bool:
    try:
        parse_manifest(text, "p")
    except Problems:
        return False
    return True


OLD = """\
name: shop
vars: {REGION: eu, KEY: {secret: true}, GONE: x}
connections: {team: slack}
triggers:
  order: {webhook: {path: orders, methods: POST}, call: main.py:f}
  nightly: {schedule: "@daily", call: main.py:f}
"""
NEW = """\
name: shop
vars: {REGION: us, KEY: {secret: true}, PLUS: y}
connections: {team: discord}
triggers:
  order: {webhook: {path: orders/new, methods: POST}, call: main.py:f, filter: data.a == 1}
  hourly: {schedule: "@hourly", call: main.py:f}
limits: {sessions: 5}
"""


def test_a_plan_names_everything_that_changes_and_nothing_else() -> None:
    old, new = parse_manifest(OLD, "p"), parse_manifest(NEW, "p")
    assert changes(old, old) == ()
    assert [change.line() for change in changes(old, new)] == [
        "~ variable REGION value: eu -> us",
        "+ variable PLUS",
        "~ connection team integration: slack -> discord",
        "~ trigger order filter: nothing -> data.a == 1",
        "~ trigger order webhook.path: orders -> orders/new",
        "+ trigger hourly",
        "~ manifest limits.sessions: 0 -> 5",
        "- variable GONE",
        "- trigger nightly",
    ]
    moved = parse_manifest("# a line more\n" + OLD, "p")
    assert changes(old, moved) == ()


def test_a_plan_against_nothing_adds_everything_and_shows_no_secret() -> None:
    theirs = parse_manifest(
        "version: v2\nproject:\n  name: p\n  vars: [{name: A, value: letmein, secret: true}]", "p", "autokitteh.yaml"
    )
    found = changes(None, theirs)
    assert found[0] == Change("added", "variable", "A", after=found[0].after)
    assert found[0].after["value"] == SECRET
    assert "letmein" not in str(found)
