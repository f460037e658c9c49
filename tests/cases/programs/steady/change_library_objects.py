"""Buffers and generators of the standard library that an activity writes to or draws from."""

import io
import random

import perdure
from web import get, request


@perdure.activity
def download(url, binary, text, dice):
    binary.write(request("GET", url + "/binary"))
    text.write("written")
    text.seek(2)
    return dice.randrange(1000)


@perdure.activity
def read_into(url, buffer):
    body = request("GET", url + "/into")
    return io.BytesIO(body).readinto(buffer)


def main(event):
    binary, text, dice, control = io.BytesIO(), io.StringIO(), random.Random(7), random.Random(7)
    buffer = bytearray(8)
    drawn = download(event["url"], binary, text, dice) == control.randrange(1000)
    read = read_into(event["url"], memoryview(buffer)[2:])
    same = dice.random() == control.random()
    rest = text.read()
    get(event["url"] + "/" + rest)
    return [binary.getvalue().decode(), binary.tell(), text.getvalue(), drawn, same, read, list(buffer)]


CASE = {
    "result": ["binary", 6, "written", True, True, 4, [0, 0, 105, 110, 116, 111, 0, 0]],
    "effects": 3,
}
