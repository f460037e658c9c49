"""try, except, else and finally around externals that fail; the failure is an outcome like any other."""

from web import HttpError, get


def attempt(url, path):
    try:
        text = get(f"{url}/{path}")
    except HttpError as error:
        print("failed", error)
        return [error.status, get(url + "/handled")]
    else:
        print("fine", text)
        return [200, get(url + "/else")]
    finally:
        print(get(url + "/finally"))


def main(event):
    url = event["url"]
    results = [attempt(url, path) for path in ("status/404/gone", "there", "status/500/broken")]
    try:
        get(url + "/status/403/secret")
    except (KeyError, HttpError):
        results.append("tuple")
    return results


CASE = {
    "result": [[404, "handled"], [200, "else"], [500, "handled"], "tuple"],
    "prints": ["failed 404 gone", "finally", "fine there", "finally", "failed 500 broken", "finally"],
    "calls": ["activity web.get"] * 10,
    "effects": 10,
}
