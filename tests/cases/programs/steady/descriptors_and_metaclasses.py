"""Metaclasses, __set_name__, descriptors, __getattr__, operators of user classes: all may call out."""

from web import get


class Remote:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        return self if instance is None else get(f"{instance.url}/{self.name}")


class Registry(type):
    known = []

    def __new__(mcls, name, bases, body, **options):
        cls = super().__new__(mcls, name, bases, body)
        mcls.known.append([name, sorted(options)])
        return cls

    def __call__(cls, *args):
        made = super().__call__(*args)
        made.born = get(made.url + "/born")
        return made


class Thing(metaclass=Registry, flag=True):
    title = Remote()

    def __init__(self, url):
        self.url = url

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return get(f"{self.url}/attr-{name}")

    def __add__(self, other):
        return get(f"{self.url}/{other}")

    def __eq__(self, other):
        return get(self.url + "/eq") == other

    def __contains__(self, item):
        return get(f"{self.url}/{item}") == "in"

    def __iter__(self):
        return iter([get(self.url + "/i1"), get(self.url + "/i2")])


def main(event):
    thing = Thing(event["url"])
    return [thing.born, thing.title, thing.other, thing + "plus", thing == "eq", "in" in thing, list(thing), Registry.known]


CASE = {
    "result": ["born", "title", "attr-other", "plus", True, True, ["i1", "i2"], [["Thing", ["flag"]]]],
    "calls": ["activity web.get"] * 8,
    "effects": 8,
}
