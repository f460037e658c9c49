"""External calls in comprehensions and generator expressions, their conditions and their first iterables."""

from web import get


def main(event):
    url = event["url"]
    listed = [get(f"{url}/{c}") for c in get(url + "/abc") if get(f"{url}/{c}") != "b"]
    mapped = {get(f"{url}/k{i}"): get(f"{url}/v{i}") for i in range(2)}
    unique = sorted({get(f"{url}/{x}") for x in ("p", "q", "p")})
    lazy = (get(f"{url}/{n}") for n in ("one", "two", "three"))
    first = next(lazy)
    print(first, listed, mapped, unique)
    return [listed, mapped, unique, first, any(x == "two" for x in lazy)]


CASE = {
    "result": [["a", "c"], {"k0": "v0", "k1": "v1"}, ["p", "q"], "one", True],
    "calls": ["activity web.get"] * 15,
    "effects": 15,
}
