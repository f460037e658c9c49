"""Inheritance, super() without and with arguments, abstract methods, several bases."""

import abc

from web import get


class Source(abc.ABC):
    def __init__(self, url):
        self.url = url

    @abc.abstractmethod
    def load(self, name):
        return [get(f"{self.url}/base-{name}")]


class Loud(Source):
    def load(self, name):
        return [*super().load(name), get(f"{self.url}/loud-{name}")]


class Quiet(Source):
    def load(self, name):
        return [*super(Quiet, self).load(name), "quiet"]


class Both(Loud, Quiet):
    def load(self, name):
        return [__class__.__name__, *super().load(name)]


def main(event):
    both = Both(event["url"])
    return [both.load("x"), isinstance(both, Source), [cls.__name__ for cls in Both.__mro__[:4]]]


CASE = {
    "result": [["Both", "base-x", "quiet", "loud-x"], True, ["Both", "Loud", "Quiet", "Source"]],
    "calls": ["activity web.get"] * 2,
    "effects": 2,
}
