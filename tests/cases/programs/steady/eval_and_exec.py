"""Calls in code that is made at run time are recorded too."""

from web import get


def main(event):
    url = event["url"]
    evaluated = eval("get(url + '/evaluated')")
    space = {"get": get, "url": url}
    exec("def made(name):\n    return get(url + '/' + name)\ntext = made('executed')", space)
    return [evaluated, space["text"], space["made"]("later")]


CASE = {"result": ["evaluated", "executed", "later"], "calls": ["activity web.get"] * 3, "effects": 3}
