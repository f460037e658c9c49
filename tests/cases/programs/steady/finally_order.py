"""Nested try/finally, return in finally, loops left through finally, re-raised exceptions."""

from web import HttpError, get


def inner(url):
    for name in ("a", "b", "c"):
        try:
            if get(f"{url}/{name}") == "b":
                return get(url + "/returned")
        finally:
            print(get(f"{url}/after-{name}"))


def overriding(url):
    try:
        raise ValueError(get(url + "/lost"))
    finally:
        return get(url + "/wins")


def reraising(url):
    try:
        get(url + "/status/404/x")
    except HttpError:
        print(get(url + "/cleanup"))
        raise


def main(event):
    url = event["url"]
    results = [inner(url), overriding(url)]
    try:
        reraising(url)
    except HttpError as error:
        results.append(str(error))
    return results


CASE = {
    "result": ["returned", "wins", "404 x"],
    "prints": ["after-a", "after-b", "cleanup"],
    "calls": ["activity web.get"] * 9,
    "effects": 9,
}
