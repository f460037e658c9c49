"""Functions registered with atexit run after the handler, the last one first; their calls are recorded."""

import atexit

from web import get


def main(event):
    url = event["url"]
    atexit.register(lambda: print("last", get(url + "/last")))
    atexit.register(get, url + "/first")
    atexit.register(print, "begins")
    return get(url + "/main")


CASE = {
    "result": "main",
    "prints": ["begins", "last last"],
    "calls": ["activity web.get"] * 3,
    "effects": 3,
}
