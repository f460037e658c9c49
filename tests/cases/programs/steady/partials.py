"""functools.partial of marked, of external and of user functions."""

import functools
import sys

import web


def pair(fetch, base, left, right):
    return fetch(f"{base}/{left}") + fetch(f"{base}/{right}")


def main(event):
    sys.path.append(event["lib"])
    import outside

    marked = functools.partial(web.post, event["url"] + "/p")
    external = functools.partial(outside.post, event["url"] + "/e", body="fixed")
    user = functools.partial(pair, web.get, event["url"], right="r")
    nested = functools.partial(functools.partial(outside.get), event["url"] + "/deep")
    return [marked("text"), external(), user("l"), nested()]


CASE = {
    "result": ["text", "fixed", "lr", "deep"],
    "calls": ["activity web.post", "activity outside.post"] + ["activity web.get"] * 2 + ["activity outside.get"],
    "effects": 5,
}
