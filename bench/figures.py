"""The figures: their units, the floors they stand on, and the document they make. Pure."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

Floors = Mapping[str, float]
"""Medians of the floors, by name."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a figure is.

    floor: what the machine could do at best, in the figure's own unit; None where there is no such thing.
    made_of: the same, in words.
    """

    unit: str
    floor: Callable[[Floors], float | None]
    made_of: str
    more_is_better: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its floor. `ratio`: how many times the floor's cost it costs; 1 is the best there can be."""

    value: float
    unit: str
    floor: float | None
    ratio: float | None
    runs: Sequence[float]
    made_of: str
    note: str


def _step_us(f: Floors) -> float:
    return f["frame_round_trip_us"] + f["commit_us"]


def _served_step_us(f: Floors) -> float:
    return _step_us(f) + f["stream_round_trip_us"]


def _session_us(f: Floors) -> float:
    return f["fork_ms"] * 1e3 + 5 * (f["frame_round_trip_us"] + f["commit_us"] / 16)


def _start_ms(f: Floors) -> float:
    return f["fork_ms"] + f["commit_us"] / 1e3


def _of(name: str, factor: float = 1.0) -> Callable[[Floors], float | None]:
    return lambda floors: floors[name] * factor


def _constant(value: float | None) -> Callable[[Floors], float | None]:
    return lambda _floors: value


def sessions_per_gib(version: str) -> str:
    """The name of the figure of sandboxed sessions of another interpreter than the running one ("3.12")."""
    return f"sandbox_sessions_per_gib_py{version.replace('.', '')}"


_PLAIN = Spec("x", _constant(1.0), "plain Python")
_PURE = Spec("x", _constant(1.0), "plain Python", note="with pure Python call sites, as information")
_CALL = Spec("ns", _of("call_ns"), "a plain call")
_RESUME = "until the next activity runs; whatever was killed is started again at once"

SPECS: Mapping[str, Spec] = {
    "sequential_activities_per_s": Spec(
        "1/s", lambda f: 1e6 / _step_us(f), "1 frame round trip + 1 commit", True, "embedded, one session"
    ),
    "sequential_activities_per_s_grpc": Spec(
        "1/s",
        lambda f: 1e6 / _served_step_us(f),
        "1 frame + 1 stream round trip + 1 commit",
        True,
        "coordinator and host are processes of their own; gRPC on a Unix socket",
    ),
    "sessions_per_s": Spec(
        "1/s",
        lambda f: 1e6 / _session_us(f),
        "1 fork + 5 x (frame round trip + 1/16 commit)",
        True,
        "sessions of 5 activities, 16 at a time, each in a process of its own; embedded",
    ),
    "fan_out_s": Spec(
        "s",
        _constant(0.05),
        "50 ms",
        note="one session gathers 100 activities of 50 ms (asyncio.gather), by its own clock; embedded",
    ),
    "start_ms_p50": Spec("ms", _start_ms, "1 fork + 1 commit", note="request to first line of the handler, warm"),
    "start_ms_p90": Spec("ms", _start_ms, "1 fork + 1 commit"),
    "sandbox_start_ms_p50": Spec(
        "ms", _start_ms, "1 fork + 1 commit", note="request to first line of the handler in the full sandbox; served"
    ),
    "sandbox_start_ms_p90": Spec("ms", _start_ms, "1 fork + 1 commit"),
    "sandbox_row_start_ms_p50": Spec("ms", _start_ms, "1 fork + 1 commit", note="the same without a pause between two"),
    "own_start_ms_p50": Spec("ms", _start_ms, "1 fork + 1 commit", note="the same of the developer's own code; served"),
    "own_start_ms_p90": Spec("ms", _start_ms, "1 fork + 1 commit"),
    "own_row_start_ms_p50": Spec("ms", _start_ms, "1 fork + 1 commit", note="the same without a pause between two"),
    "sandbox_sessions_per_gib": Spec(
        "1/GiB", _constant(None), "none", True, "live sessions in the full sandbox, by PSS"
    ),
    **{
        sessions_per_gib(version): Spec(
            "1/GiB", _constant(None), "none", True, f"the same, of a project with `python: {version}`"
        )
        for version in ("3.11", "3.12", "3.13")
    },
    "docker_start_ms_p50": Spec(
        "ms", _start_ms, "1 fork + 1 commit", note="request to first line of the handler, in a warm container"
    ),
    "docker_start_ms_p90": Spec("ms", _start_ms, "1 fork + 1 commit"),
    "replay_entries_per_s": Spec(
        "1/s",
        lambda f: 1e6 / f["history_entry_us"],
        "read, frame and parse it",
        True,
        "journal entries (rows; an activity has two) of a session of 10,000; whole read-only replay: request, fork, "
        "history sent, handler run again, answer",
    ),
    "replay_handler_entries_per_s": Spec(
        "1/s",
        _constant(None),
        "none",
        True,
        "the same, from the handler's first line to its last: the history has come and the module is loaded",
    ),
    "resume_s": Spec("s", _of("program_start_ms", 1e-3), "1 program start", note="the worst of the three"),
    "resume_runner_s": Spec("s", _of("fork_ms", 1e-3), "1 fork", note=_RESUME),
    "resume_host_s": Spec("s", _of("program_start_ms", 1e-3), "1 program start", note=_RESUME),
    "resume_coordinator_s": Spec("s", _of("program_start_ms", 1e-3), "1 program start", note=_RESUME),
    "slowdown_geomean": Spec("x", _constant(1.0), "plain Python", note="of ten kernels loaded through the hook"),
    "slowdown_worst": Spec("x", _constant(1.0), "plain Python", note="the kernel that loses most"),
    "slowdown_fib": _PLAIN,
    "slowdown_richards": _PLAIN,
    "slowdown_deltablue": _PLAIN,
    "slowdown_nbody": _PLAIN,
    "slowdown_raytrace": _PLAIN,
    "slowdown_json_building": _PLAIN,
    "slowdown_chaos": _PLAIN,
    "slowdown_nqueens": _PLAIN,
    "slowdown_generators": _PLAIN,
    "slowdown_floats": _PLAIN,
    "internal_call_ns": Spec(
        "ns", _of("call_ns"), "a plain call", note="added to a call of the program's own function"
    ),
    "slowdown_geomean_py311": _PLAIN,
    "slowdown_worst_py311": _PLAIN,
    "internal_call_ns_py311": _CALL,
    "slowdown_geomean_py311_pure": _PURE,
    "slowdown_worst_py311_pure": _PURE,
    "internal_call_ns_py311_pure": _CALL,
    "slowdown_geomean_py312": _PLAIN,
    "slowdown_worst_py312": _PLAIN,
    "internal_call_ns_py312": _CALL,
    "slowdown_geomean_py312_pure": _PURE,
    "slowdown_worst_py312_pure": _PURE,
    "internal_call_ns_py312_pure": _CALL,
    "slowdown_geomean_py313": _PLAIN,
    "slowdown_worst_py313": _PLAIN,
    "internal_call_ns_py313": _CALL,
    "slowdown_geomean_py313_pure": _PURE,
    "slowdown_worst_py313_pure": _PURE,
    "internal_call_ns_py313_pure": _CALL,
    "activity_us": Spec(
        "us", _constant(None), "none", note="an activity of small values in the runner, before the wire"
    ),
    "marker_us": Spec("us", _constant(None), "none", note="a marker in the runner, before the wire"),
    "replay_entry_us": Spec("us", _constant(None), "none", note="a row of the journal, replayed in the runner"),
    "kib_per_live_session": Spec(
        "KiB",
        _of("fork_kib"),
        "a bare fork",
        note="anonymous memory that a session inside an activity adds to all processes",
    ),
    "live_sessions_per_gib": Spec(
        "1/GiB",
        lambda f: (1 << 20) / f["fork_kib"],
        "bare forks in 1 GiB",
        True,
        "the same, as how many sessions inside an activity 1 GiB holds",
    ),
    "webhook_ms_p50": Spec(
        "ms",
        _of("commit_us", 1e-3),
        "1 commit",
        note="200 webhooks a second, each starts a session: due to answered, untouched by deaths",
    ),
    "webhook_ms_p99": Spec("ms", _of("commit_us", 1e-3), "1 commit"),
    "webhook_outage_s": Spec(
        "s",
        _of("program_start_ms", 1e-3),
        "1 program start",
        note="coordinator killed, until all that piled up is answered",
    ),
    "webhooks_lost": Spec(
        "", _constant(None), "none", note="of those answered, without event or session, after two deaths"
    ),
    "webhooks_twice": Spec("", _constant(None), "none", note="events or sessions too many"),
    "kib_per_suspended_session": Spec(
        "KiB",
        _constant(None),
        "none",
        note="anonymous memory that a session in sleep(30 days) adds to all processes",
    ),
}

FLOORS: Mapping[str, tuple[str, str]] = {
    "stream_round_trip_us": ("us", "grpc.aio bidirectional stream, Unix socket, two processes"),
    "frame_round_trip_us": ("us", "a record and its acknowledgement on a socketpair, two processes"),
    "commit_us": ("us", "SQLite, WAL, synchronous=FULL, one row"),
    "fork_ms": ("ms", "fork of a process of the zygote's size, until a byte arrives"),
    "fork_kib": ("KiB", "anonymous memory that such a fork adds"),
    "program_start_ms": ("ms", "a Python program that imports gRPC"),
    "history_entry_us": ("us", "a journal entry read from SQLite, framed, parsed"),
    "call_ns": ("ns", "a call of an empty function"),
}


def figure(spec: Spec, runs: Sequence[float], floors: Floors) -> Figure:
    """The median of `runs` with its floor; without one if a floor that it is made of was not measured."""
    value = statistics.median(runs)
    try:
        floor = spec.floor(floors)
    except KeyError:
        floor = None
    ratio = None
    if floor and value > 0:
        ratio = floor / value if spec.more_is_better else value / floor
    return Figure(value, spec.unit, floor, ratio, tuple(runs), spec.made_of, spec.note)


def figures(samples: Mapping[str, Sequence[float]]) -> dict[str, Figure]:
    """All figures that `samples` (of figures and floors) hold, in the order of `SPECS`."""
    floors = {name: statistics.median(samples[name]) for name in FLOORS if samples.get(name)}
    return {name: figure(spec, samples[name], floors) for name, spec in SPECS.items() if samples.get(name)}


def document(
    machine: Mapping[str, object], samples: Mapping[str, Sequence[float]], missing: Mapping[str, str]
) -> dict[str, object]:
    """What bench/latest.json holds. `missing`: why a part could not be measured, by the part's name."""
    return {
        "machine": dict(machine),
        "figures": {name: _rounded(asdict(each)) for name, each in figures(samples).items()},
        "floors": {
            name: _rounded({"value": statistics.median(runs), "unit": unit, "runs": runs, "note": note})
            for name, (unit, note) in FLOORS.items()
            if (runs := samples.get(name))
        },
        "missing": dict(missing),
    }


def significant(number: float, digits: int = 4) -> float:
    """`number` with so many digits that mean something."""
    if not number or not math.isfinite(number):
        return number
    return round(number, digits - 1 - math.floor(math.log10(abs(number))))


def _rounded(values: Mapping[str, object]) -> dict[str, object]:
    def plain(value: object) -> object:
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        return significant(value) if isinstance(value, float) else value

    return {key: plain(value) for key, value in values.items()}
