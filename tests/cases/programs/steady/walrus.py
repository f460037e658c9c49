"""Assignment expressions around calls, in conditions, loops and comprehensions."""

from web import get


def main(event):
    url = event["url"]
    names = iter(["a", "bb", "stop", "never"])
    seen = []
    while (text := get(f"{url}/{next(names)}")) != "stop":
        seen.append(text)
    if (size := len(last := get(url + "/last"))) > 3:
        seen.append([last, size])
    return [seen, [y for x in "pq" if (y := get(f"{url}/{x}{x}"))], y]


CASE = {"result": [["a", "bb", ["last", 4]], ["pp", "qq"], "qq"], "calls": ["activity web.get"] * 6, "effects": 6}
