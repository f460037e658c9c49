"""Exceptions of the standard library with state outside their arguments: OSError, UnicodeError, KeyError, json."""

import json

import perdure


@perdure.activity
def fail(kind, folder):
    if kind == "os":
        open(folder + "/missing/file")
    if kind == "unicode":
        b"\xff".decode("utf-8")
    if kind == "json":
        json.loads("[1,")
    if kind == "stop":
        raise StopIteration(7)
    return {}["absent"]


def main(event):
    facts = []
    try:
        fail("os", event["dir"])
    except FileNotFoundError as error:
        facts.append([error.errno, error.strerror, error.filename.endswith("/missing/file")])
    try:
        fail("unicode", "")
    except UnicodeDecodeError as error:
        facts.append([error.encoding, list(error.object), error.start, error.end, error.reason])
    try:
        fail("json", "")
    except json.JSONDecodeError as error:
        facts.append([error.msg, error.pos, error.lineno, error.colno, error.doc])
    try:
        fail("key", "")
    except KeyError as error:
        facts.append([str(error), list(error.args)])
    try:
        fail("stop", "")
    except StopIteration as error:
        facts.append(error.value)
    return facts


CASE = {
    "result": [
        [2, "No such file or directory", True],
        ["utf-8", [255], 0, 1, "invalid start byte"],
        ["Expecting value", 3, 1, 4, "[1,"],
        ["'absent'", ["absent"]],
        7,
    ],
    "calls": ["activity builtin_exceptions.fail"] * 5,
    "effects": 0,
}
