"""The manifest: everything wrong is told at once, with its place; what is right becomes rules and limits."""

from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifest_samples import parse_manifest
from perdure_proto.v1 import runner_pb2
from perdure_server.coordinator import builds
from perdure_server.core.errors import PerdureError, Problems
from perdure_server.manifest import nodes, trigger_keys
from perdure_server.manifest.limits import Limits, parse_limits
from perdure_server.manifest.manifest import Manifest, load_manifest
from perdure_server.manifest.needs import Requirements
from perdure_server.manifest.network import Mode, Network
from perdure_server.manifest.policies import ActivityPolicy, Retry
from perdure_server.manifest.variables import Variable

FULL = """\
name: shop
python: 3.12
entry: main.py:on_order
vars:
  REGION: eu
  TOKEN: {env: SHOP_TOKEN, secret: true}
  MODE:
    value: test
    env: SHOP_MODE
activities:
  "requests.*":
    retry: {attempts: 5, initial_delay: 500ms, factor: 3, max_delay: 2m, jitter: 0.5, on: [OSError, TimeoutError]}
    timeout: 30s
  mail.send: {at_most_once: true, timeout: 1.5}
  slow.*: {retry: 0}
  math.*: {record: false}
limits:
  payload: 1MiB
  log: 10MB
  log_line: 2000
  memory: 1.5GiB
  journal_entries: 500
  cpus: 1.5
  processes: 32
  open_files: 256
  disk: 100MB
  files: 0
  run_time: 10m
  sessions: 20
  queue: 1000
network: [api.example.com, "*.Example.org:8443", 10.0.0.1, "[::1]:80"]
runs_on: {zone: eu, gpu: "yes"}
requirements:
  file: requirements/main.txt
  packages: [requests>=2.31, rich]
  allow_sdists: true
"""


def problems(text: str) -> list[str]:
    with pytest.raises(Problems) as caught:
        parse_manifest(text, "default")
    return [f"{p.code} {p.line}:{p.column} {p.message}" for p in caught.value.problems]


def test_a_full_manifest() -> None:
    assert parse_manifest(FULL, "default") == Manifest(
        name="shop",
        python="3.12",
        entry="main.py:on_order",
        vars=(
            Variable("REGION", "eu", line=5, column=3),
            Variable("TOKEN", None, "SHOP_TOKEN", True, line=6, column=3),
            Variable("MODE", "test", "SHOP_MODE", line=7, column=3),
        ),
        activities=(
            ActivityPolicy("requests.*", Retry(5, 0.5, 3.0, 120.0, 0.5, ("OSError", "TimeoutError")), 30.0),
            ActivityPolicy("mail.send", timeout_s=1.5, at_most_once=True),
            ActivityPolicy("slow.*", Retry(0)),
            ActivityPolicy("math.*", record=False),
        ),
        limits=Limits(1048576, 500, 10_000_000, 2000, 1610612736, 1.5, 32, 256, 100_000_000, 0, 600.0, 20, 1000),
        network=Network("hosts", ("api.example.com", "*.example.org:8443", "10.0.0.1", "[::1]:80")),
        runs_on={"zone": "eu", "gpu": "yes"},
        requirements=Requirements("requirements/main.txt", ("requests>=2.31", "rich"), True),
    )


def test_rules_and_limits_for_the_runner() -> None:
    manifest = parse_manifest(FULL, "default")
    rules = [builds._rule(policy) for policy in manifest.to_json()["activities"]]
    assert rules[0] == runner_pb2.ActivityRule(
        pattern="requests.*",
        timeout_s=30,
        retry=runner_pb2.RetryPolicy(
            max_attempts=5,
            initial_delay_s=0.5,
            factor=3,
            max_delay_s=120,
            jitter=0.5,
            retry_on=["OSError", "TimeoutError"],
        ),
    )
    assert rules[1] == runner_pb2.ActivityRule(pattern="mail.send", timeout_s=1.5, at_most_once=True)
    assert rules[3] == runner_pb2.ActivityRule(pattern="math.*", no_activity=True)
    assert manifest.limits.to_proto() == runner_pb2.Limits(
        payload_bytes=1048576,
        journal_entries=500,
        log_bytes=10_000_000,
        log_line_bytes=2000,
        memory_bytes=1610612736,
        cpus=1.5,
        processes=32,
        open_files=256,
        disk_bytes=100_000_000,
        run_s=600,
    )
    assert manifest.network.to_proto("none") == runner_pb2.Network(
        mode=runner_pb2.NETWORK_MODE_HOSTS, hosts=["api.example.com", "*.example.org:8443", "10.0.0.1", "[::1]:80"]
    )


@pytest.mark.parametrize(
    ("text", "default", "mode"),
    [
        ("", "none", runner_pb2.NETWORK_MODE_NONE),
        ("", "all", runner_pb2.NETWORK_MODE_ALL),
        ("network: none", "all", runner_pb2.NETWORK_MODE_NONE),
        ("network: all", "none", runner_pb2.NETWORK_MODE_ALL),
        ("network: []", "all", runner_pb2.NETWORK_MODE_HOSTS),
    ],
)
def test_what_a_manifest_says_of_the_network_goes_before_the_default(text: str, default: Mode, mode: int) -> None:
    network = parse_manifest(text, "p").network
    assert Network.of_json(asdict(network)) == network
    assert network.to_proto(default).mode == mode


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Requirements()),
        ("requirements: none", Requirements(none=True)),
        ("requirements: deps.txt", Requirements("deps.txt")),
        ("requirements: [a, b==1]", Requirements(packages=("a", "b==1"))),
    ],
)
def test_forms_of_requirements(text: str, found: Requirements) -> None:
    assert parse_manifest(text, "p").requirements == found


@pytest.mark.parametrize("text", ["", "# nothing\n", "vars:\n", "{}"])
def test_everything_is_optional(text: str) -> None:
    assert parse_manifest(text, "default") == Manifest("default")


def test_a_folder_without_a_manifest_works(tmp_path: Path) -> None:
    root = tmp_path / "my project!"
    root.mkdir()
    assert load_manifest(root) == Manifest("my-project")
    (root / "perdure.yaml").write_bytes(b"\xef\xbb\xbfname: shop\n")
    assert load_manifest(root) == Manifest("shop")


def test_all_problems_are_told_at_once_with_place_source_and_hint() -> None:
    text = "nmae: x\nvars:\n  A: 1\n  B: {secret: false}\nlimits: {memory: 1 parsec}\n"
    assert problems(text) == [
        "P0102 1:1 unknown key 'nmae'",
        "P0103 3:6 variable A must be text, not a number",
        "P0104 4:3 variable B has neither `value` nor `env`",
        "P0103 5:18 memory must be a size such as 64KiB or 10MB, not '1 parsec'",
    ]
    with pytest.raises(Problems) as caught:
        parse_manifest(text, "default")
    assert caught.value.render().startswith(
        "error[P0102] perdure.yaml:1:1 unknown key 'nmae'\n  nmae: x\n  ^\nhelp: did you mean 'name'?\n\nerror[P0103]"
    )


WRONG = {
    "- a\n": ["P0103 1:1 the manifest must be a mapping, not a list"],
    "just text": ["P0103 1:1 the manifest must be a mapping, not text"],
    "name: a\nname: b\n": ["P0103 2:1 'name' is given twice"],
    "name: [a]": ["P0103 1:7 name must be text, not a list"],
    "name: -x": ["P0103 1:7 '-x' is no valid name"],
    "name:": ["P0103 1:6 name must be text, not nothing"],
    "entry: main.main": ["P0103 1:8 'main.main' is no valid entry"],
    "python: [3]": ["P0103 1:9 python must be text, not a list"],
    "python: 2.7": ["P0103 1:9 python is no version from 3.11 on: '2.7'"],
    "python: python3": ["P0103 1:9 python is no version from 3.11 on: 'python3'"],
    "1: a": ["P0103 1:1 1 is a number, not text"],
    "[a]: b": ["P0103 1:1 this key is a list, not text"],
    "? {a: b}\n: c": ["P0103 1:3 this key is a mapping, not text"],
    "vars: {a-b: c}": ["P0103 1:8 'a-b' is no name of a variable"],
    "vars: {A: [b]}": ["P0103 1:11 variable A must be a mapping, not a list"],
    "vars: {A: {env: 5}}": ["P0103 1:17 env must be text, not a number"],
    "vars: {A: {env: X, secret: maybe}}": ["P0103 1:28 secret must be true or false, not text"],
    "activities: {a: {retry: often}}": ["P0103 1:25 retry must be a number, not text"],
    "activities: {a: {retry: -1}}": ["P0103 1:25 retry must be between 0 and 1,000,000, not -1"],
    "activities: {a: {retry: 1.5}}": ["P0103 1:25 retry must be a whole number"],
    "activities: {a: {retry: {factor: 0.5}}}": ["P0103 1:34 factor must be between 1 and 1,000, not 0.5"],
    "activities: {a: {retry: {on: OSError}}}": ["P0103 1:30 on must be a list, not text"],
    "activities: {a: {retry: {on: [[x]]}}}": ["P0103 1:31 each of on must be text, not a list"],
    "activities: {a: {retry: {jitter: 2}}}": ["P0103 1:34 jitter must be between 0 and 1, not 2"],
    "activities: {a: {timeout: 1e400}}": ["P0103 1:27 timeout must be between 0 and 1,000,000,000,000,000, not 1e400"],
    "activities: {a: {timeout: soon}}": [
        "P0103 1:27 timeout must be a duration such as 500ms, 30s, 5m, 2h or 7d, not 'soon'"
    ],
    "activities: {a: {at_most_once: true, retry: 3}}": ["P0103 1:18 at_most_once and retry exclude each other"],
    "activities: {a: {record: false, retry: 3}}": [
        "P0103 1:18 what is not recorded has no retry, timeout or at_most_once"
    ],
    "limits: {journal_entries: 0}": ["P0103 1:27 journal_entries must be between 1 and 1,000,000,000, not 0"],
    "limits: {memory: 1000TiB}": ["P0103 1:18 memory must be at most 1,000,000,000,000,000, not '1000TiB'"],
    f"limits: {{memory: {'9' * 400}TiB}}": [
        f"P0103 1:18 memory must be at most 1,000,000,000,000,000, not '{'9' * 80}'"
    ],
    "limits: {run_time: 99999999999d}": [
        "P0103 1:20 run_time must be at most 1,000,000,000,000,000, not '99999999999d'"
    ],
    "limits: {memory: true}": ["P0103 1:18 memory must be a size such as 64KiB or 10MB, not true or false"],
    "limits: {cpus: many}": ["P0103 1:16 cpus must be a number, not text"],
    "limits: {processes: 1.5}": ["P0103 1:21 processes must be a whole number"],
    "limits: {run_time: soon}": ["P0103 1:20 run_time must be a duration such as 500ms, 30s, 5m, 2h or 7d, not 'soon'"],
    "network: some": ["P0103 1:10 network must be none, all or a list of hosts, not 'some'"],
    "network: {allow: [a.example]}": ["P0103 1:10 network must be none, all or a list of hosts, not a mapping"],
    "network:": ["P0103 1:9 network must be text, not nothing"],
    "network: [1]": ["P0103 1:11 each of network must be text, not a number"],
    **{
        f"network: [{host!r}]": [f"P0103 1:11 {host!r} is no host"]
        for host in (
            "*",
            "a.*.b",
            "http://a",
            "a/b",
            "a b",
            "a:0",
            "a:65536",
            "a:b",
            "1.2.3",
            "[::g]",
            "",
            ".a",
            "-a.b",
        )
    },
    "runs_on: [gpu]": ["P0103 1:10 runs_on must be a mapping, not a list"],
    "runs_on: {a b: c, d: 1}": [
        "P0103 1:11 'a b' is no name of a label",
        "P0103 1:22 label d must be text, not a number",
    ],
    "requirements: ../x.txt": ["P0103 1:15 '../x.txt' is not in the project's folder"],
    "requirements: {file: /x.txt}": ["P0103 1:22 '/x.txt' is not in the project's folder"],
    "requirements: [--index-url x]": ["P0103 1:15 '--index-url x' is no requirement"],
    "requirements: {allow_sdists: maybe}": ["P0103 1:30 allow_sdists must be true or false, not text"],
    "a: &x [b]\nvars: *x": ["P0102 1:1 unknown key 'a'", "P0103 1:4 vars must be a mapping, not a list"],
    "name: {": ["P0101 1:8 expected the node content, but found '<stream end>', while parsing a flow node"],
    "vars:\n\tA: b": ["P0101 2:1 found character '\\t' that cannot start any token, while scanning for the next token"],
    "a: " + "[" * 30 + "]" * 30: ["P0101 1:23 too deeply nested"],
    "name: a\n---\nname: b": [
        "P0101 2:1 but found another document, expected a single document in the stream",
    ],
    "name: 'a": ["P0101 1:9 found unexpected end of stream, while scanning a quoted scalar"],
    "vars: {A: no, B: 0x10, C: 1:30, D: 2026-01-01, E: .5}": ["P0103 1:51 variable E must be text, not a number"],
    "name: !!python/object:os.system x": [
        "P0103 1:7 name must be text, not of the kind tag:yaml.org,2002:python/object:os.system"
    ],
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong(text: str) -> None:
    assert problems(text) == WRONG[text]


def test_tabs_get_advice() -> None:
    with pytest.raises(Problems) as caught:
        parse_manifest("vars:\n\tA: b", "default")
    assert caught.value.problems[0].help == "indent with spaces"


def test_floods_are_refused_quickly() -> None:
    assert problems("# " + "x" * 300_000) == ["P0101 None:None the file is larger than 262144 bytes"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"name: \xff", "not UTF-8"), (b"name: \x00", "unacceptable character"), ("ä".encode() * 200_000, "larger")],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "perdure.yaml").write_bytes(content)
    with pytest.raises(PerdureError) as caught:
        load_manifest(tmp_path)
    assert caught.value.code == "P0101"
    assert message in caught.value.message


def test_a_manifest_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "perdure.yaml").mkdir()
    with pytest.raises(PerdureError) as caught:
        load_manifest(tmp_path)
    assert caught.value.code == "P0110"


def test_variables_come_from_the_environment() -> None:
    manifest = parse_manifest(FULL, "default")
    environment = {"SHOP_TOKEN": "t", "OTHER": "x"}
    assert manifest.resolve_vars(environment) == {"REGION": "eu", "TOKEN": "t", "MODE": "test"}
    assert manifest.resolve_vars(environment | {"SHOP_MODE": "live"})["MODE"] == "live"
    with pytest.raises(Problems) as caught:
        parse_manifest("vars:\n  A: {env: SHOP}", "p").resolve_vars({})
    assert str(caught.value) == "perdure.yaml:2:3: variable A: SHOP is not set in the environment"


def test_a_secret_may_be_set_later_but_never_in_the_manifest() -> None:
    manifest = parse_manifest("vars: {A: {secret: true}, B: {env: B, secret: true}, C: shown}", "p")
    assert manifest.secrets == {"A", "B"}
    assert manifest.resolve_vars({}) == {"C": "shown"}
    assert manifest.resolve_vars({"A": "not asked for", "B": "b"}) == {"B": "b", "C": "shown"}
    with pytest.raises(Problems) as caught:
        parse_manifest("vars: {A: {value: hunter2, secret: true}}", "p")
    assert (caught.value.code, caught.value.line) == ("P0103", 1)
    assert "hunter2" not in caught.value.render()


@given(text=st.text(alphabet="abn:-[]{}&*!|>'\"#%@`?, \t\n0189.", max_size=60))
def test_no_text_is_anything_but_a_manifest_or_problems(text: str) -> None:
    try:
        told = parse_manifest(text, "default").name
    except Problems as error:
        told = error.render()
    assert told


def test_an_operators_ceiling() -> None:
    ceiling = parse_limits("memory=1GiB, run_time=1h,sessions=10", "--limits")
    assert (ceiling.memory_bytes, ceiling.run_s, ceiling.sessions, ceiling.disk_bytes) == (1 << 30, 3600, 10, 0)
    held = parse_manifest("limits: {memory: 4GiB, disk: 0, sessions: 5, cpus: 0.5}", "p").limits.within(ceiling)
    assert (held.memory_bytes, held.disk_bytes, held.sessions, held.cpus, held.run_s) == (1 << 30, 0, 5, 0.5, 3600)
    assert held.journal_entries == Limits().journal_entries


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("memroy=1GiB", "P0102 1:1 unknown key 'memroy'"),
        ("memory=lots", "P0103 1:9 memory must be a size such as 64KiB or 10MB, not 'lots'"),
        ("memory", "P0103 1:1 limits must be a mapping, not text"),
    ],
)
def test_a_ceiling_that_is_none(text: str, told: str) -> None:
    with pytest.raises(Problems) as caught:
        parse_limits(text, "--limits")
    problem = caught.value.problems[0]
    assert f"{problem.code} {problem.line}:{problem.column} {problem.message}" == told


def test_of_very_many_faults_the_first_are_told_and_no_more_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """3,000 schedules that never happen took two minutes. Lines that may hold secrets are not shown."""
    parsed: list[str] = []

    def parse(text: str, _zone: str) -> None:
        parsed.append(text)
        if text.startswith("bad"):
            raise PerdureError("P0106", f"{text} never happens")

    monkeypatch.setattr(trigger_keys.cron, "parse", parse)
    text = "triggers:\n" + "".join(f"  t{n}: {{schedule: bad{n}}}\n" for n in range(3000))
    with pytest.raises(Problems) as refused:
        parse_manifest(text, "default")
    assert len(refused.value.problems) == len(set(parsed) - {"@daily"}) == nodes.PROBLEMS
    assert {problem.source for problem in refused.value.problems} == {None}
    assert [problem.line for problem in refused.value.problems[:3]] == [2, 3, 4]
