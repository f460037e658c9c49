"""Calls as arguments of calls: each is a call of its own, inner ones first."""

from web import get, post


def join(*parts, sep="-"):
    return sep.join(parts)


def main(event):
    url = event["url"]
    inner = get(url + "/" + get(url + "/" + get(url + "/x")))
    both = post(url + "/" + get(url + "/target"), join(get(url + "/one"), get(url + "/two"), sep=get(url + "/and")))
    return [inner, both]


CASE = {
    "result": ["x", "oneandtwo"],
    "calls": ["activity web.get"] * 7 + ["activity web.post"],
    "effects": 8,
}
