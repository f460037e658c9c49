"""Closures, nonlocal counters, late binding, functions that return functions that call out."""

from web import get


def counter(url):
    count = 0

    def step(by=1):
        nonlocal count
        count += by
        return get(f"{url}/{count}")

    def reset():
        nonlocal count
        count = 0
        return step

    return step, reset


def main(event):
    step, reset = counter(event["url"])
    seen = [step(), step(5), reset()()]
    late = [lambda: get(f"{event['url']}/late{i}") for i in range(2)]
    return [*seen, [call() for call in late]]


CASE = {"result": ["1", "6", "1", ["late1", "late1"]], "calls": ["activity web.get"] * 5, "effects": 5}
