"""Enums with auto, flags and methods that call out; named tuples made by function and by class."""

import collections
import enum

from web import get


class Channel(enum.Enum):
    MAIL = enum.auto()
    CHAT = enum.auto()

    def send(self, url):
        return get(f"{url}/{self.name.lower()}")


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


Row = collections.namedtuple("Row", "channel text", defaults=["-"])


def main(event):
    rows = [Row(channel, channel.send(event["url"])) for channel in Channel]
    last = Row(Channel.CHAT)._replace(text=get(event["url"] + "/last"))
    both = Rights.READ | Rights.WRITE
    return [[row.text for row in rows], last._asdict()["text"], both.value, Rights.READ in both, Channel(2).name]


CASE = {
    "result": [["mail", "chat"], "last", 3, True, "CHAT"],
    "calls": ["activity web.get"] * 3,
    "effects": 3,
}
