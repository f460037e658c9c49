"""A requests.Session with headers of its own: after a crash a new one with the same headers goes on."""

import requests


def main(event):
    url = event["url"]
    with requests.Session() as session:
        session.headers.update({"X-Shop": "tea"})
        session.headers["X-Twice"] = "yes"
        session.verify = False
        one = session.get(url + "/one")
        two = session.post(url + "/echo", data="sent")
        shop = session.headers["X-Shop"]
        kept = isinstance(session, requests.Session), session.verify, "x-twice" in session.headers
    return [one.status_code, one.text, two.text, shop, list(kept)]


CASE = {"result": [200, "one", "sent", "tea", [True, False, True]], "effects": 2, "heavy": True}
