"""Generators of user code that call out: yield from, send, throw, close and return values."""

from web import get


def pages(url, count):
    for i in range(count):
        yield get(f"{url}/page{i}")
    return get(url + "/end")


def everything(url):
    end = yield from pages(url, 2)
    yield f"<{end}>"


def accumulator(url):
    total = ""
    try:
        while True:
            try:
                name = yield total
                total += get(f"{url}/{name}")
            except KeyError:
                total += get(url + "/key")
    finally:
        print(get(url + "/closed"))


def main(event):
    url = event["url"]
    collect = accumulator(url)
    next(collect)
    collect.send("a")
    collect.throw(KeyError("x"))
    total = collect.send("z")
    collect.close()
    return [list(everything(url)), total]


CASE = {
    "result": [["page0", "page1", "<end>"], "akeyz"],
    "prints": ["closed"],
    "calls": ["activity web.get"] * 7,
    "effects": 7,
}
