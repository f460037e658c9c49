"""Lists, dicts, sets, deques and the like that an activity changes in place are changed in replay too."""

import array
import collections

import perdure
from web import get, request


@perdure.activity
def fill(url, numbers, table, names, queue, buffer, view, counts, ordered, defaults, cells):
    request("GET", url + "/fill")
    numbers.append(len(numbers))
    numbers.sort(reverse=True)
    del table["old"]
    table["new"] = {"deep": [1]}
    names.add("later")
    names.discard("early")
    queue.appendleft(0)
    buffer += b"more"
    view[0] = 7
    counts.update("aab")
    ordered.move_to_end("a")
    defaults["x"].append(1)
    cells[1] = 2.5
    return len(numbers)


def main(event):
    numbers, table, names = [1, 2], {"old": 1, "kept": 2}, {"early", "kept"}
    queue, buffer, counts = collections.deque([1, 2], maxlen=2), bytearray(b"x"), collections.Counter()
    block = bytearray(4)
    ordered = collections.OrderedDict(a=1, b=2)
    defaults = collections.defaultdict(list)
    cells = array.array("d", [0.0, 0.0])
    arguments = (numbers, table, names, queue, buffer, memoryview(block), counts, ordered, defaults, cells)
    n = fill(event["url"], *arguments)
    defaults["y"].append(n)
    get(event["url"] + f"/{numbers[0]}")
    return [
        *(n, numbers, table, sorted(names), list(queue), queue.maxlen, buffer.decode(), list(block), dict(counts)),
        *(list(ordered), dict(defaults), list(cells)),
    ]


CASE = {
    "result": [
        *(3, [2, 2, 1], {"kept": 2, "new": {"deep": [1]}}, ["kept", "later"], [0, 1], 2, "xmore", [7, 0, 0, 0]),
        *({"a": 2, "b": 1}, ["b", "a"], {"x": [1], "y": [3]}, [0.0, 2.5]),
    ],
    "calls": ["activity change_arguments.fill", "activity web.get"],
    "effects": 2,
}
