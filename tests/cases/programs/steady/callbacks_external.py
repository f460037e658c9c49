"""External functions handed to map, filter, sorted, min, max and reduce."""

import functools
import sys


def main(event):
    sys.path.append(event["lib"])
    import outside

    urls = [event["url"] + "/" + name for name in ("ccc", "a", "bb55")]
    texts = list(map(outside.get, urls))
    long = [url.rpartition("/")[2] for url in filter(outside.is_long, urls)]
    order = [url.rpartition("/")[2] for url in sorted(urls, key=outside.length)]
    least = min(urls, key=outside.length).rpartition("/")[2]
    joined = functools.reduce(functools.partial(outside.add, event["url"] + "/-"), texts)
    return [texts, long, order, least, joined]


CASE = {
    "result": [["ccc", "a", "bb55"], ["bb55"], ["a", "ccc", "bb55"], "a", "ccc-a-bb55"],
    "calls": ["activity outside.get"] * 3
    + ["activity outside.is_long"] * 3
    + ["activity outside.length"] * 6
    + ["activity outside.add"] * 2,
    "effects": 14,
}
