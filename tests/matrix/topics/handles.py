"""Live objects: what acts on the world without a call expression in user code."""

# ruff: noqa: E501 - programs stay as their users would write them
from dataclasses import replace

from matrix.probe import Probe

PROBES = [
    Probe(
        "with_statement",
        """
import abroad
def main(url):
    with abroad.Door(url) as door:
        a = door.knock()
    with abroad.Door(url): raise KeyError
    return a
""",
        "knock",
        asks=5,
    ),
    Probe(
        "with_and_exceptions",
        """
import abroad
def main(url):
    seen = []
    try:
        with abroad.Door(url), abroad.Door(url) as second:
            seen.append(second.knock())
            raise ValueError("v")
    except ValueError as error: seen.append(str(error))
    return seen
""",
        ["knock", "v"],
        asks=5,
    ),
    Probe(
        "async_with",
        """
import abroad
async def main(url):
    async with abroad.Door(url) as door:
        return door.knock()
""",
        "knock",
        asks=3,
    ),
    Probe(
        "exit_stacks",
        """
import contextlib, abroad
def main(url):
    with contextlib.ExitStack() as stack:
        doors = [stack.enter_context(abroad.Door(url)) for _ in range(2)]
        return [d.knock() for d in doors]
""",
        ["knock", "knock"],
        asks=6,
    ),
    Probe(
        "closing_and_nullcontext",
        """
import contextlib, io
def main(url, folder):
    with contextlib.closing(open(folder + "/a", "w")) as f: f.write("one")
    with contextlib.nullcontext(open(folder + "/a")) as g: return g.read()
""",
        "one",
    ),
    Probe(
        "for_over_an_iterator",
        """
import abroad
def main(url):
    seen = []
    for row in abroad.Rows(url, 3): seen.append(row)
    for row in abroad.Shelf(url):
        seen.append(row)
        break
    return seen
""",
        ["row-2", "row-1", "row-0", "iter-0"],
        asks=4,
    ),
    Probe(
        "for_over_a_generator",
        """
import abroad, outside
def main(url):
    seen = []
    for part in abroad.stream(url, 3):
        seen.append(part + outside.get(url + "/between"))
    return seen
""",
        ["part-0between", "part-1between", "part-2between"],
        asks=6,
    ),
    Probe(
        "generator_left_early",
        """
import abroad
def main(url):
    g = abroad.stream(url, 5)
    first = [next(g), next(g)]
    g.close()
    return first + list(g)
""",
        ["part-0", "part-1"],
        asks=2,
    ),
    Probe(
        "comprehensions_over_externals",
        """
import abroad
def main(url):
    return [
        [p for p in abroad.stream(url, 2)], {p: r for p, r in zip(abroad.stream(url, 2), abroad.Rows(url, 2))},
        list(abroad.Rows(url, 1)), sorted(abroad.stream(url, 2), reverse=True), ",".join(abroad.stream(url, 2)),
    ]
""",
        [
            ["part-0", "part-1"],
            {"part-0": "row-1", "part-1": "row-0"},
            ["row-0"],
            ["part-1", "part-0"],
            "part-0,part-1",
        ],
        asks=11,
    ),
    Probe(
        "unpacking",
        """
import abroad
def main(url):
    a, b = abroad.stream(url, 2)
    first, *rest = abroad.Rows(url, 3)
    def take(*args): return len(args)
    return [a, b, first, rest, take(*abroad.stream(url, 2)), "part-1" in abroad.stream(url, 2)]
""",
        ["part-0", "part-1", "row-2", ["row-1", "row-0"], 2, True],
        asks=9,
    ),
    Probe(
        "yield_from",
        """
import abroad
def main(url):
    def talk():
        yield "hello"
        yield from abroad.stream(url, 2)
        yield from abroad.conversation(url)
    t = talk()
    return [next(t), next(t), next(t), next(t), t.send("x"), list_rest(t)]
def list_rest(t):
    try: t.send("stop")
    except StopIteration: return "end"
""",
        ["hello", "part-0", "part-1", "said-start", "said-x", "end"],
        asks=4,
    ),
    Probe(
        "generator_send",
        """
import abroad
def main(url):
    talk = abroad.conversation(url)
    out = [next(talk), talk.send("a"), talk.send("b")]
    try: talk.throw(ValueError("v"))
    except ValueError as error: out.append(str(error))
    return out
""",
        ["said-start", "said-a", "said-b", "v"],
        asks=3,
    ),
    Probe(
        "async_for",
        """
import abroad
async def main(url):
    seen = [row async for row in abroad.Rows(url, 2)]
    async for part in abroad.astream(url, 2): seen.append(part)
    return seen
""",
        ["row-1", "row-0", "part-0", "part-1"],
        asks=4,
    ),
    Probe(
        "await_of_stored_awaitables",
        """
import asyncio, abroad, outside
async def main(url):
    coroutine = outside.aget(url + "/c")
    promise = abroad.promise(url, "p")
    task = asyncio.ensure_future(outside.aget(url + "/t"))
    kept = abroad.Promise(url)
    return [await promise, await coroutine, await task, await kept]
""",
        ["p", "c", "t", "kept"],
        asks=4,
        in_flight=3,
    ),
    Probe(
        "properties",
        """
import abroad
def main(url):
    shelf = abroad.Shelf(url)
    a = shelf.title
    shelf.title = "new"
    del shelf.title
    return [a, getattr(shelf, "title"), hasattr(shelf, "nothing"), shelf.base == url]
""",
        ["title", "title", False, True],
        asks=4,
    ),
    Probe(
        "items",
        """
import abroad
def main(url):
    shelf = abroad.Shelf(url)
    shelf["k"] = 1
    a = shelf["k"]
    del shelf["k"]
    try: shelf[3]
    except IndexError as error: b = str(error)
    return [a, b, 1 in shelf, 2 in shelf]
""",
        ["item-k", "3", True, False],
        asks=5,
    ),
    Probe(
        "operators",
        """
import abroad
def main(url):
    shelf = abroad.Shelf(url)
    values = [shelf + 1, 2 + shelf, -shelf, shelf < 3]
    shelf += 4
    return [*values, type(shelf).__name__]
""",
        ["add-1", "radd-2", "neg", True, "Shelf"],
        asks=5,
    ),
    Probe(
        "len_bool_and_text",
        """
import abroad
def main(url):
    shelf = abroad.Shelf(url)
    return [len(shelf), bool(shelf), "yes" if shelf else "no", f"{shelf:x}", str(shelf), f"{shelf!s}", not shelf]
""",
        [3, True, "yes", "format-x", "str", "str", False],
        asks=7,
    ),
    Probe(
        "what_a_live_object_is",
        """
import abroad
def main(url):
    door = abroad.Door(url)
    match door:
        case abroad.Shelf(): kind = "shelf"
        case abroad.Door(base=b): kind = "door"
    return [isinstance(door, abroad.Live), kind, b == url, door is door, door == door, callable(door), len({door, door})]
""",
        [True, "door", True, True, True, False, 1],
        asks=0,
    ),
    Probe(
        "live_object_as_an_argument",
        """
import abroad, outside
def main(url):
    door = abroad.Door(url)
    class Holder:
        def __init__(self, door): self.door = door
    holder = Holder(door)
    boxed = {"door": door, "list": [door]}
    return [abroad.each(lambda n: n, [1]), abroad.Door.knock(door), holder.door.knock(), boxed["list"][0].knock(), abroad.same(url, door) is door]
""",
        [[1], "knock", "knock", "knock", True],
        asks=4,
    ),
    Probe(
        "live_objects_in_results",
        """
import abroad
def make(url): return [abroad.Door(url), {"x": abroad.Door(url)}]
def main(url):
    first, second = make(url)
    pair = abroad.same(url, (first, 1))
    return [first.knock(), second["x"].knock(), pair[0] is first, pair[1]]
""",
        ["knock", "knock", True, 1],
        asks=3,
    ),
    Probe(
        "module_level_client",
        """
import requests
session = requests.Session()
session.headers["X-A"] = "1"
def main(url):
    return [session.get(url + "/a").text, session.headers["X-A"], session.get(url + "/b").status_code]
""",
        ["a", "1", 200],
        asks=2,
    ),
    Probe(
        "requests_session",
        """
import requests
def main(url):
    with requests.Session() as s:
        s.headers.update({"X": "y"})
        r = s.get(url + "/a")
        try: s.get(url + "/status/404/no").raise_for_status()
        except requests.HTTPError as error: status = error.response.status_code
        return [r.text, r.ok, status, [s.post(url + "/p", data=str(i)).text for i in range(2)]]
""",
        ["a", True, 404, ["0", "1"]],
        asks=4,
    ),
    Probe(
        "httpx_client",
        """
import httpx
def main(url):
    with httpx.Client(base_url=url, trust_env=False) as c:
        return [c.get("/a").text, c.get("/b").status_code]
""",
        ["a", 200],
        asks=2,
    ),
    Probe(
        "open_files",
        """
def main(url, folder):
    with open(folder + "/a.txt", "w") as f:
        f.write("one\\ntwo\\n")
        print("three", file=f)
    with open(folder + "/a.txt") as f:
        first = f.readline()
        rest = [line.strip() for line in f]
    with open(folder + "/a.txt", "rb") as f: data = f.read(); closed = f.closed
    return [first, rest, len(data), closed, f.closed]
""",
        ["one\n", ["two", "three"], 14, False, True],
    ),
    Probe(
        "csv_and_json_files",
        """
import csv, json
def main(url, folder):
    with open(folder + "/a.csv", "w", newline="") as f:
        w = csv.writer(f); w.writerow(["a", "b"]); w.writerows([[1, 2], [3, 4]])
    with open(folder + "/a.csv", newline="") as f: rows = list(csv.DictReader(f))
    with open(folder + "/a.json", "w") as f: json.dump(rows, f)
    with open(folder + "/a.json") as f: return json.load(f)
""",
        [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}],
    ),
    Probe(
        "database",
        """
import sqlite3
def main(url, folder):
    db = sqlite3.connect(":memory:")
    db.execute("create table t (n integer)")
    db.executemany("insert into t values (?)", [(1,), (2,)])
    with db: db.execute("insert into t values (3)")
    seen = [row[0] for row in db.execute("select n from t order by n")]
    cursor = db.cursor()
    cursor.execute("select max(n) from t")
    top = cursor.fetchone()[0]
    db.close()
    return [seen, top]
""",
        [[1, 2, 3], 3],
    ),
    Probe(
        "temporary_directory",
        """
import os, tempfile
def main(url):
    with tempfile.TemporaryDirectory() as name:
        path = os.path.join(name, "a")
        with open(path, "w") as f: f.write("x")
        there = os.listdir(name)
    return [there, os.path.exists(path)]
""",
        [["a"], False],
    ),
    Probe(
        "locks_and_queues",
        """
import collections, queue, threading
def main(url):
    lock, q = threading.Lock(), queue.Queue()
    with lock: q.put(1)
    local = threading.local(); local.x = 2
    event = threading.Event(); event.set()
    return [q.get(), q.empty(), lock.locked(), local.x, event.wait(1)]
""",
        [1, True, False, 2, True],
        "",
        asks=0,
    ),
    Probe(
        "loggers_and_mocks",
        """
import logging, unittest.mock, outside
log = logging.getLogger("probe")
def main(url):
    log.info("x %s", outside.get(url + "/a"))
    m = unittest.mock.Mock(return_value=3)
    return [m(1), m.call_count, log.name]
""",
        [3, 1, "probe"],
        "outside.get",
    ),
    Probe(
        "live_object_across_a_sleep",
        """
import time, abroad
def main(url):
    door = abroad.Door(url)
    a = door.knock()
    time.sleep(0.01)
    return [a, door.knock()]
""",
        ["knock", "knock"],
        asks=2,
    ),
    Probe(
        "garbage_of_live_objects",
        """
import gc, weakref, abroad
def main(url):
    door = abroad.Door(url)
    watch = weakref.ref(door)
    a = watch().knock()
    door = None
    gc.collect()
    return [a, watch() is None]
""",
        ["knock", True],
        asks=1,
    ),
]

MADE_AGAIN = {
    *("module_level_client", "requests_session", "httpx_client", "locks_and_queues", "loggers_and_mocks"),
    *("csv_and_json_files", "what_a_live_object_is"),
}
"""Live objects that everybody knows how to make again; all others are lost with their process."""

PROBES = [replace(probe, may_lose=probe.name not in MADE_AGAIN) for probe in PROBES]
