"""Entries and frames: what goes in comes out, and what no runner may say is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perdure_proto.v1 import journal_pb2 as journal
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.frames import Parser
from perdure_runner.host import convert
from perdure_runner.host.fields import MOST, ProtocolError

TEXT = st.text(max_size=20)
COUNT = st.integers(0, MOST)
U32 = st.integers(0, 2**32 - 1)
DIGEST = st.binary(min_size=32, max_size=32)
PAYLOADS = st.builds(
    lambda encoding, data, mac, preview: journal.Payload(
        encoding=encoding, data=data, mac=mac, preview=preview, size=len(data)
    ),
    st.sampled_from([1, 2]),
    st.binary(min_size=1, max_size=30),
    DIGEST,
    TEXT,
)
SITES = st.builds(journal.CallSite, file=st.text(min_size=1, max_size=9), line=U32, column=U32, source=TEXT)


def outcome_entries(payloads: st.SearchStrategy = PAYLOADS) -> st.SearchStrategy[journal.Entry]:
    return st.builds(
        journal.Entry,
        lane=st.text(min_size=1, max_size=9),
        ordinal=st.integers(1, MOST),
        kind=st.sampled_from([3, 4, 7]),
        function=TEXT,
        args_digest=DIGEST,
        args_preview=TEXT,
        site=SITES,
        attempt=U32,
        at_us=COUNT,
        duration_us=COUNT,
        outcome=payloads,
        is_error=st.booleans(),
        at_most_once=st.booleans(),
    )


WAITS = st.builds(
    journal.Entry,
    lane=st.text(min_size=1, max_size=9),
    ordinal=st.integers(1, MOST),
    kind=st.just(journal.ENTRY_KIND_WAIT),
    wait=st.builds(
        journal.Wait, kind=st.sampled_from([1, 2]), fires_at_us=st.integers(1, MOST), names=st.lists(TEXT, max_size=3)
    ),
)
RETRIES = st.builds(
    journal.Entry,
    lane=st.text(min_size=1, max_size=9),
    ordinal=st.integers(1, MOST),
    kind=st.just(journal.ENTRY_KIND_RETRY),
    wait=st.builds(journal.Wait, fires_at_us=st.integers(1, MOST)),
    outcome=PAYLOADS,
    is_error=st.just(value=True),
)
GOOD = {"lane": "main", "ord": 1, "kind": 3, "fn": "f", "enc": 1, "n": 2}


def add(fields: object, payload: bytes = b"42") -> journal.Entry:
    records = runner.Records()
    convert.add_record(records, 1, {"t": "rec", "no": 1, "sync": 1, "e": fields}, payload)
    (record,) = records.records
    assert record.no == 1
    return record.entry


def what_decides(entry: journal.Entry) -> journal.Entry:
    """Without what is there for people only."""
    bare = journal.Entry()
    bare.CopyFrom(entry)
    for name in ("site", "args_preview", "duration_us"):
        bare.ClearField(name)
    if bare.kind != journal.ENTRY_KIND_ACTIVITY:  # whose time moves the clocks of event loops
        bare.ClearField("at_us")
    if bare.HasField("outcome"):
        bare.outcome.ClearField("preview")
    return bare


@given(outcome_entries() | WAITS | RETRIES)
def test_what_decides_of_an_entry_comes_back_as_it_went(entry: journal.Entry) -> None:
    fields, payload = convert.entry_frame(entry)
    assert add(fields, payload) == what_decides(entry)


@given(PAYLOADS, st.integers(1, 4))
def test_a_resolution_carries_its_payload(payload: journal.Payload, how: int) -> None:
    entry = journal.Entry(seq=9, lane="main", ordinal=2, kind=journal.ENTRY_KIND_RESOLVED)
    entry.resolution.kind, entry.resolution.name = how, "signal"
    entry.resolution.payload.CopyFrom(payload)
    ((header, data),) = Parser().feed(convert.resolved_frame(entry))
    assert header["t"] == "res"
    assert (header["e"]["how"], header["e"]["name"], header["e"]["n"]) == (how, "signal", len(payload.data))
    assert data == payload.data


@given(st.lists(outcome_entries(), max_size=5), st.booleans())
def test_a_page_carries_all_payloads_in_order(entries: list[journal.Entry], last: bool) -> None:
    ((header, data),) = Parser().feed(b"".join(convert.history_frames(entries, last)))
    assert (header["t"], header["last"], len(header["e"])) == ("hist", last, len(entries))
    for fields, entry in zip(header["e"], entries, strict=True):
        size = fields.pop("n")
        assert add(fields, data[:size]) == what_decides(entry)
        data = data[size:]
    assert not data


def test_a_large_page_becomes_several_frames() -> None:
    outcome = journal.Payload(encoding=1, data=b"1" * convert.PAGE_PAYLOAD, size=convert.PAGE_PAYLOAD)
    small = journal.Entry(seq=1, args_preview="x" * 300_000)
    entries = [small, small, journal.Entry(seq=2, outcome=outcome), journal.Entry(seq=3, outcome=outcome)]
    frames = Parser().feed(b"".join(convert.history_frames(entries, last=True)))
    assert [len(header["e"]) for header, _ in frames] == [1, 2, 1]
    assert [header["last"] for header, _ in frames] == [False, False, True]


def test_a_payload_that_is_elsewhere_is_an_error() -> None:
    entry = journal.Entry(seq=3, outcome=journal.Payload(encoding=1, blob="ab", size=5))
    with pytest.raises(ProtocolError, match="ab"):
        convert.entry_frame(entry)


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 1},
        {"lane": ""},
        {"lane": None},
        {"lane": 7},
        {"lane": "x" * 1025},
        {"lane": "\ud800"},
        {"ord": 0},
        {"ord": True},
        {"ord": 1.0},
        {"ord": "1"},
        {"ord": 2**63},
        {"ord": -1},
        {"kind": 6, "how": 1},
        {"kind": 0},
        {"kind": 8},
        {"kind": [3]},
        {"kind": 1},
        {"kind": 5},
        {"kind": 5, "wk": 1},
        {"kind": 5, "wk": 5},
        {"kind": 5, "wk": 4, "names": ["store.get"], "enc": 2},
        {"kind": 5, "wk": 4, "names": ["store.get", "store.set"], "enc": 1},
        {"kind": 5, "wk": 4, "names": ["store.get"], "enc": 1, "fires": 1},
        {"kind": 5, "wk": 3, "names": ["main.1"], "enc": 1},
        {"wk": 1},
        {"how": 1},
        {"dig": "zz" * 32},
        {"dig": "abc"},
        {"dig": "ab"},
        {"dig": "ab" * 65},
        {"dig": 5},
        {"mac": "0x" * 16},
        {"enc": 0},
        {"enc": 3},
        {"size": 3},
        {"n": 3},
        {"n": "2"},
        {"err": 2},
        {"err": "yes"},
        {"att": 2**32},
        {"names": "abc"},
        {"names": [1]},
        {"surprise": 1},
        {"data": "x"},
        {"blob": "ab"},
        {"pv": "x" * (convert.PREVIEW + 1)},
    ],
    ids=lambda change: f"{change!r:.30}",
)
def test_what_no_runner_may_say(change: dict) -> None:
    assert add(GOOD).outcome.data == b"42"
    with pytest.raises(ProtocolError):
        add(GOOD | change)


@pytest.mark.parametrize("fields", [None, [], "x", 1, {}])
def test_an_entry_is_an_object(fields: object) -> None:
    with pytest.raises(ProtocolError):
        add(fields)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
HOSTILE = st.dictionaries(st.sampled_from([*convert.ENTRY, *convert.LOG, "n", "e", "state", "err", "div", "no"]), JSON)


@given(HOSTILE, HOSTILE, st.binary(max_size=5))
def test_anything_else_is_refused_and_nothing_worse(header: dict, fields: dict, payload: bytes) -> None:
    records = runner.Records()
    for convert_it in (
        lambda: convert.add_record(records, 1, header | {"e": GOOD | fields}, payload),
        lambda: convert.add_line(records, 1, convert.log_line({"t": "log", "s": 1} | header)),
        lambda: convert.done({"t": "done", "state": "failed"} | header, payload),
        lambda: convert.waiting(header),
    ):
        try:
            convert_it()
        except ProtocolError:
            continue
    runner.Records.FromString(records.SerializeToString())


def test_a_line_of_output() -> None:
    records = runner.Records()
    line = {"t": "log", "no": 4, "o": 2, "i": 3, "s": 3, "l": "INFO", "at": 5, "x": "hällo", "a": "f"}
    convert.add_line(records, 4, convert.log_line(line))
    assert records.records[0].log == journal.LogLine(
        ordinal=2, index=3, stream=journal.STREAM_LOG, level="INFO", at_us=5, text="hällo", activity="f"
    )
    with pytest.raises(ProtocolError):
        convert.log_line({"t": "log", "x": "no stream"})


def test_done_with_everything() -> None:
    entry = {"lane": "main", "ord": 3, "kind": 3, "fn": "a.b", "seq": 7, "enc": 1, "pv": "1", "file": "h.py", "line": 4}
    header = {
        "t": "done",
        "no": 3,
        "state": "diverged",
        "err": {
            "type": "E", "message": "m", "code": "P0501", "help": "h", "tb": [["h.py", 4, "f", 2, "x()"], ["g.py", 1]],
        },
        "div": {"recorded": entry, "called": None, "reason": "other call"},
    }  # fmt: skip
    done = convert.done(header, b"")
    assert done.state == runner.DONE_STATE_DIVERGED
    assert done.error.code == "P0501"
    assert [(frame.file, frame.line, frame.source) for frame in done.error.traceback] == [
        ("h.py", 4, "x()"), ("g.py", 1, ""),
    ]  # fmt: skip
    assert done.divergence.recorded.seq == 7
    assert done.divergence.recorded.site.line == 4
    assert not done.divergence.HasField("called")
    assert not done.HasField("result")


@pytest.mark.parametrize(
    "change",
    [
        {"state": "fine"},
        {"state": None},
        {"err": "x"},
        {"err": {"tb": [[1]]}},
        {"err": {"tb": [["f"] * 6]}},
        {"err": {"surprise": 1}},
        {"div": []},
        {"div": {"who": 1}},
        {"enc": 1, "size": 7},
        {"enc": 0},
        {"surprise": 1},
    ],
    ids=repr,
)
def test_done_that_is_none(change: dict) -> None:
    with pytest.raises(ProtocolError):
        convert.done({"t": "done", "no": 1, "state": "completed", "enc": 1} | change, b"null")


def test_a_start_needs_an_event_of_json() -> None:
    for event in (b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(ProtocolError):
            convert.start_frame(runner.Start(event=event), "code", "cache")
