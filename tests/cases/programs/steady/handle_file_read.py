"""An open file, read line by line between external calls, and told from other things by its class."""

import io

import web


def main(event):
    path = event["dir"] + "/words.txt"
    with open(path, "w") as stream:
        stream.write("one\ntwo\nthree\nfour\nfive\n")
    stream = open(path)
    first = stream.readline()
    fetched = []
    for line in stream:
        fetched.append(web.get(event["url"] + "/" + line.strip()))
        if line == "three\n":
            break
    rest = stream.read()
    stream.close()
    try:
        stream.read()
    except ValueError as error:
        refused = str(error)
    return [first, fetched, rest, isinstance(stream, io.TextIOWrapper), stream.mode, refused]


CASE = {
    "result": [
        "one\n",
        ["two", "three"],
        "four\nfive\n",
        True,
        "r",
        "I/O operation on closed file.",
    ],
    "effects": 2,
}
