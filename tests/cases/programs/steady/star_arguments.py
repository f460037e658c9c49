"""Star arguments, double stars, calls among them, keyword-only and positional-only parameters."""

from web import get


def gather(first, /, *rest, key, **more):
    return [first, list(rest), key, more]


def main(event):
    url = event["url"]
    names = [get(f"{url}/{i}") for i in range(2)]
    options = {"key": get(url + "/key"), "b": 1}
    args = [*(get(f"{url}/{x}") for x in "xy")]
    return gather(*names, *args, **options, **{"c": get(url + "/c")})


CASE = {
    "result": ["0", ["1", "x", "y"], "key", {"b": 1, "c": "c"}],
    "calls": ["activity web.get"] * 6,
    "effects": 6,
}
