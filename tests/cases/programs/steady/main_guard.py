"""`if __name__ == "__main__"` does not run; names, docstrings and annotations are as in plain Python."""

from __future__ import annotations

from web import get

answer: int = 42


def main(event: dict[str, str]) -> list[object]:
    """The handler."""
    return [__name__, main.__doc__, main.__annotations__["event"], __annotations__["answer"], get(event["url"] + "/x")]


if __name__ == "__main__":
    raise SystemExit("this is the handler's module, not a script")

CASE = {
    "result": ["main_guard", "The handler.", "dict[str, str]", "int", "x"],
    "calls": ["activity web.get"],
    "effects": 1,
}
