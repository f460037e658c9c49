"""Generics, protocols, overloads, TypedDict, annotations with calls, ClassVar: types do not disturb anything."""

import typing
from typing import Annotated, Generic, Protocol, TypedDict, TypeVar, get_type_hints

from web import get

T = TypeVar("T")


class Movie(TypedDict, total=False):
    name: str
    year: int


class Fetches(Protocol):
    def fetch(self, name: str) -> str: ...


class Box(Generic[T]):
    kind: typing.ClassVar[str] = "box"

    def __init__(self, item: T) -> None:
        self.item = item


class Web:
    def __init__(self, url: str) -> None:
        self.url = url

    def fetch(self, name: Annotated[str, len("abc")]) -> str:
        return get(f"{self.url}/{name}")


def use(source: Fetches, movie: Movie) -> Box[str]:
    return Box[str](source.fetch(movie["name"]))


def main(event):
    hints = get_type_hints(Web.fetch, include_extras=True)
    return [use(Web(event["url"]), {"name": "alien"}).item, hints["name"].__metadata__[0], Box.kind]


CASE = {"result": ["alien", 3, "box"], "calls": ["activity web.get"], "effects": 1}
