"""Calls, wherever an expression may stand."""

# ruff: noqa: E501 - programs stay as their users would write them
from matrix.probe import Probe

PROBES = [
    Probe(
        "nested_call_arguments",
        """
import outside
def main(url):
    return outside.get(url + "/" + outside.get(url + "/a") + outside.get(url=url + "/b"))
""",
        "ab",
        "outside.get*3",
    ),
    Probe(
        "callee_is_a_call",
        """
import functools, outside
def main(url):
    def give(name): return functools.partial(outside.get, url + name)
    return give("/a")() + (lambda: outside.get)()(url + "/b")
""",
        "ab",
        "outside.get*2",
    ),
    Probe(
        "multi_line_chain",
        """
import outside
def main(url):
    return (
        outside
        .get(
            url
            + "/a b"
        )
        .upper()
        .split()
    )
""".replace("a b", "a_b").replace(".split()", '.split("_")'),
        ["A", "B"],
        "outside.get",
    ),
    Probe(
        "star_arguments",
        """
import outside
def main(url):
    first, more = [url + "/a"], {"url": url + "/b"}
    return [outside.get(*first), outside.get(**more), outside.keywords(self=1, func=2, args=3, **{"a b": 4})]
""",
        ["a", "b", {"self": 1, "func": 2, "args": 3, "a b": 4}],
        "outside.get*2 outside.keywords",
    ),
    Probe(
        "walrus",
        """
import outside
def main(url):
    if (n := len(got := outside.get(url + "/abc"))) > 2:
        return [n, got, [y := outside.get(url + "/" + c) for c in got[:2]], y]
""",
        [3, "abc", ["a", "b"], "b"],
        "outside.get*3",
    ),
    Probe(
        "lambdas",
        """
import outside
def main(url):
    f = lambda name, get=outside.get: get(url + name)
    return [f("/a"), (lambda: outside.get(url + "/b"))(), *map(lambda n: outside.get(url + n), ["/c"])]
""",
        ["a", "b", "c"],
        "outside.get*3",
    ),
    Probe(
        "f_strings",
        """
import outside
def main(url):
    a = "a"
    return f"{outside.get(url + '/x'):>{len(outside.get(url + '/yy'))}}|{outside.get(f'{url}/{a}')!r}|{a=}"
""",
        " x|'a'|a='a'",
        "outside.get*3",
    ),
    Probe(
        "f_strings_of_3_12",
        """
import outside
def main(url):
    return f"{f"{outside.get(f"{url}/a")}" + "b"}"
""",
        "ab",
        "outside.get",
        since=(3, 12),
    ),
    Probe(
        "conditions",
        """
import outside
def main(url):
    get = lambda n: outside.get(url + n)
    a = get("/a") if get("/yes") == "yes" else get("/no")
    b = get("/b") == "x" and get("/never") or get("/or")
    c = "a" < get("/m") < get("/z")
    return [a, b, c, not get("/n")]
""",
        ["a", "or", True, False],
        "outside.get*7",
    ),
    Probe(
        "assert_and_raise",
        """
import outside
def main(url):
    try:
        assert outside.get(url + "/a") == "b", outside.get(url + "/why")
    except AssertionError as error:
        try:
            raise ValueError(outside.get(url + "/v")) from error
        except ValueError as error:
            return [str(error), str(error.__cause__)]
""",
        ["v", "why"],
        "outside.get*3",
    ),
    Probe(
        "subscripts_and_slices",
        """
import outside
def main(url):
    data = {"k": [0, 1, 2, 3]}
    data[outside.get(url + "/k")][int(outside.get(url + "/1")) : int(outside.get(url + "/3"))] = outside.get(url + "/xy")
    data[outside.get(url + "/k")][0] += len(outside.get(url + "/q"))
    del data["k"][-1]
    return data
""",
        {"k": [1, "x", "y"]},
        "outside.get*6",
    ),
    Probe(
        "evaluation_order",
        """
import outside
def main(url):
    order = []
    def note(name):
        order.append(name); return outside.get
    def arg(name):
        order.append(name); return url + "/" + name
    class Box:
        @property
        def method(self): order.append("method"); return outside.get
    note("f")(arg("x")); Box().method(arg("y"))
    {arg("k"): outside.get(arg("v"))}
    return order
""",
        ["f", "x", "method", "y", "k", "v"],
        "outside.get*3",
    ),
    Probe(
        "deep_expression",
        """
import outside
def main(url):
    return eval(" + ".join(["1"] * 400)) + len(outside.get(url + "/a")) """
        + "+ len('b')" * 300
        + """
""",
        701,
        "outside.get",
    ),
    Probe(
        "marker_calls",
        """
import datetime, os, random, time, uuid
def main(url):
    values = [time.time(), time.monotonic(), random.random(), uuid.uuid4(), datetime.datetime.now(), os.urandom(2), os.getpid()]
    return [type(v).__name__ for v in values]
""",
        ["float", "float", "float", "UUID", "datetime", "bytes", "int"],
        "~time.time ~time.monotonic ~random.random ~uuid.uuid4 ~datetime.datetime.now ~os.urandom ~os.getpid",
        asks=0,
    ),
    Probe(
        "pure_work",
        """
import base64, collections, hashlib, heapq, itertools, json, math, re, statistics, string, struct, textwrap
def main(url):
    heap = [3, 1, 2]; heapq.heapify(heap)
    return [
        json.loads(json.dumps({"a": [1]})), re.sub("a", "b", "aa"), math.sqrt(4), heapq.heappop(heap),
        hashlib.sha256(b"x").hexdigest()[:4], base64.b64encode(b"x").decode(), statistics.mean([1, 2, 3]),
        list(itertools.chain([1], [2])), collections.Counter("aab").most_common(1)[0][1], struct.unpack("<H", b"ab")[0],
        textwrap.dedent("  a"), string.Template("$a").substitute(a=1), sorted([2, 1]), "a,b".split(","), divmod(7, 2)[1],
    ]
""",
        [{"a": [1]}, "bb", 2.0, 1, "2d71", "eA==", 2, [1, 2], 2, 25185, "a", "1", [1, 2], ["a", "b"], 1],
        "",
        asks=0,
    ),
]
