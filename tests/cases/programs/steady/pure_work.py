"""Work of the standard library that touches nothing outside leaves no entries."""

import base64
import bisect
import collections
import copy
import csv
import datetime
import decimal
import difflib
import functools
import hashlib
import heapq
import io
import itertools
import json
import math
import operator
import re
import statistics
import string
import struct
import textwrap
import urllib.parse
import zlib


def main(event):
    data = json.loads(json.dumps({"a": [1, 2.5, None], "b": "é"}))
    words = re.findall(r"\w+", "one two, three") + re.sub("x", lambda m: m[0].upper(), "xyx").split("y")
    heap = [5, 1, 3]
    heapq.heapify(heap)
    heapq.heappush(heap, 0)
    out = io.StringIO()
    csv.writer(out).writerows([[1, "a,b"], [2, 'q"']])
    groups = {k: list(g) for k, g in itertools.groupby("aabbb")}
    bisect.insort(ordered := [1, 3], 2)
    digest = hashlib.sha256(zlib.compress(b"x" * 100)).hexdigest()[:0]
    when = datetime.datetime(2026, 1, 1) + datetime.timedelta(days=40)
    query = urllib.parse.urlencode(urllib.parse.parse_qsl("a=1&b=%20"))
    return [
        data,
        words,
        heapq.heappop(heap),
        out.getvalue(),
        groups,
        ordered,
        digest,
        when.isoformat(),
        query,
        math.gcd(12, 18),
        statistics.median([1, 5, 2]),
        functools.reduce(operator.mul, range(1, 6)),
        base64.b64encode(struct.pack(">H", 258)).decode(),
        textwrap.shorten("a long text to shorten", 10),
        string.Template("$a!").substitute(a=1),
        str(decimal.Decimal("0.1") + 1),
        copy.deepcopy(collections.ChainMap({"x": 1}))["x"],
        next(iter(difflib.unified_diff(["a"], ["b"]))),
    ]


CASE = {
    "result": [
        {"a": [1, 2.5, None], "b": "é"},
        ["one", "two", "three", "X", "X"],
        0,
        '1,"a,b"\r\n2,"q"""\r\n',
        {"a": ["a", "a"], "b": ["b", "b", "b"]},
        [1, 2, 3],
        "",
        "2026-02-10T00:00:00",
        "a=1&b=+",
        6,
        2,
        120,
        "AQI=",
        "a [...]",
        "1!",
        "1.1",
        1,
        "--- \n",
    ],
    "calls": [],
    "effects": 0,
}
