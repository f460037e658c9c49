"""Calls in class bodies, in keyword arguments of classes and in default values."""

from web import get


class Base:
    def __init_subclass__(cls, tag, **rest):
        super().__init_subclass__(**rest)
        cls.tag = tag


def main(event):
    url = event["url"]

    class Settings(Base, tag=get(url + "/tag")):
        name = get(url + "/name")
        parts = [get(f"{url}/{i}") for i in range(2)]

        def method(self, extra=get(url + "/default")):
            return self.name + extra

    return [Settings.tag, Settings.name, Settings.parts, Settings().method()]


CASE = {
    "result": ["tag", "name", ["0", "1"], "namedefault"],
    "calls": ["activity web.get"] * 5,
    "effects": 5,
}
