"""Whatever form a secret takes on its way to people, its value is not in what they see."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.masking import MASK, Masker

SECRET = "pä55/w\"or'd +x=1"

FORMS = {
    "plain": SECRET,
    "repr": repr(SECRET),
    "repr beside double quotes": repr({'"': SECRET}),
    "ascii": ascii(SECRET),
    "bytes": repr(SECRET.encode()),
    "JSON": json.dumps({"a": SECRET}),
    "JSON of JSON's letters": json.dumps(SECRET, ensure_ascii=False),
    "URL": urllib.parse.quote(SECRET),
    "URL, slash too": urllib.parse.quote(SECRET, safe=""),
    "query": urllib.parse.urlencode({"key": SECRET}),
    "query in lower case": urllib.parse.quote_plus(SECRET).lower(),
    "hex": SECRET.encode().hex(),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "basic": base64.b64encode(b"me:" + SECRET.encode()).decode(),
    "basic of another": base64.b64encode(b"user:" + SECRET.encode() + b"\n").decode(),
    "URL-safe base64": base64.urlsafe_b64encode(b"a:" + SECRET.encode() + b"more").decode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    masked = Masker([SECRET]).text(f"before {FORMS[form]} after")
    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "55" not in masked
    assert base64.b64encode(SECRET.encode()).decode()[8:14] not in masked


@given(st.text(min_size=4, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_any_value_anywhere(value: str, before: str, after: str) -> None:
    if len(value.strip()) < 4:
        return
    masker = Masker([value])
    text = before + value.strip() + after
    assert masker.text(text) != text or value.strip() == MASK
    for shown in (json.dumps(text), repr(text), urllib.parse.quote(text, errors="replace")):
        assert MASK in masker.text(shown)


def test_a_beginning_that_was_cut_is_no_beginning() -> None:
    masker = Masker(["correct-horse-battery"])
    assert masker.text("login('correct-hor...") == f"login('{MASK}..."
    assert masker.text("x" * 20 + "corr ...[cut]") == "x" * 20 + f"{MASK} ...[cut]"
    assert masker.text("correct\N{HORIZONTAL ELLIPSIS} and correctly") == f"{MASK}\N{HORIZONTAL ELLIPSIS} and correctly"
    assert masker.text("correctly... cor...") == "correctly... cor..."
    assert [masker.text("wait" + "." * count) for count in range(9)] == ["wait" + "." * count for count in range(9)]


def test_lines_of_a_long_secret_are_masked_one_by_one() -> None:
    masker = Masker(["-----BEGIN-----\nMIIEvQIBADAN\nab\n-----END KEY-----\n"])
    assert [masker.text(line) for line in ("MIIEvQIBADAN", " MIIEvQIBADAN,", "ab", "cab")] == [
        MASK,
        f" {MASK},",
        "ab",
        "cab",
    ]


def test_short_values_are_left_alone() -> None:
    start = runner.Start(vars={"A": "abc", "B": "open"}, secrets=["A"])
    assert Masker.of(start) is None
    assert Masker.of(runner.Start(vars={"B": "open"})) is None
    assert Masker.of(runner.Start(vars={"A": "abcd"}, secrets=["A", "gone"])) is not None


def test_a_frame_keeps_what_replay_decides_by() -> None:
    header = {
        "t": "rec",
        "no": 3,
        "e": {
            "lane": "abcd",
            "fn": "abcd.get",
            "names": ["abcd"],
            "args": "'abcd', 1",
            "src": "x = abcd",
            "pv": "{'a': 'abcd'}",
            "dga": ["0011223344556677", "0011223344556677" + b"args[0]\0'abcd'".hex(), 7],
            "file": None,
        },
        "err": {"message": "no abcd", "tb": [["main.py", 1, "main", 2, "raise E('abcd')"]]},
    }
    assert Masker(["abcd"]).header(header) == {
        "t": "rec",
        "no": 3,
        "e": {
            "lane": "abcd",
            "fn": "abcd.get",
            "names": ["abcd"],
            "args": f"'{MASK}', 1",
            "src": f"x = {MASK}",
            "pv": f"{{'a': '{MASK}'}}",
            "dga": ["0011223344556677", "0011223344556677" + f"args[0]\0'{MASK}'".encode().hex(), 7],
            "file": None,
        },
        "err": {"message": f"no {MASK}", "tb": [["main.py", 1, "main", 2, f"raise E('{MASK}')"]]},
    }


def test_a_hostile_depth_is_no_fault() -> None:
    deep: list[object] = ["abcd"]
    for _ in range(5000):
        deep = [deep]
    assert Masker(["abcd"]).header({"x": deep})["x"] is not None


@pytest.mark.parametrize(
    ("result", "masked"),
    [
        ({"a": ["1234", 12345, True, None], "x1234": 1.5}, {"a": [MASK, MASK, True, None], f"x{MASK}": 1.5}),
        ({"a": "open"}, {"a": "open"}),
        (1234, MASK),
    ],
)
def test_a_result_stays_json(result: object, masked: object) -> None:
    data = json.dumps(result).encode()
    header, shown = Masker(["1234"]).done({"t": "done", "enc": 1, "mac": "00", "size": len(data)}, data)
    assert json.loads(shown) == masked
    assert header["size"] == len(shown)
    assert ("mac" in header) == (shown == data)


def test_a_result_that_is_no_json_is_not_shown() -> None:
    masker = Masker(["1234"])
    assert masker.done({"enc": 1}, b'{"1234')[1] == b'"***"'
    assert masker.done({"enc": 2}, b"\x80 1234")[1] == b"\x80 1234"  # the coordinator seals it
