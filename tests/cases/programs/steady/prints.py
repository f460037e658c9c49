"""print in all its forms: several arguments, separators, parts of lines, several lines, to stderr, through write."""

import sys

from web import get


def main(event):
    print("a", 1, None, sep="|")
    print("part", end=" ")
    print(get(event["url"] + "/whole"), end="")
    print(" line")
    print("two\nlines")
    print()
    print("to stderr", file=sys.stderr)
    sys.stdout.write("written\n")
    print(*(get(f"{event['url']}/{c}") for c in "xy"), "ünïcödé ✓", flush=True)
    print("last, without an end", end="")


CASE = {
    "result": None,
    "prints": ["a|1|None", "part whole line", "two", "lines", "", "written", "x y ünïcödé ✓", "last, without an end"],
    "effects": 3,
}
