"""requests, called directly: responses come back as values, errors as exceptions."""

import requests


def main(event):
    url = event["url"]
    answer = requests.get(url + "/hello", params={"q": "1"}, timeout=10)
    echoed = requests.post(url + "/echo", data="body", timeout=10).text
    missing = requests.get(url + "/status/404/gone", timeout=10)
    try:
        missing.raise_for_status()
    except requests.HTTPError as error:
        failed = error.response.status_code
    return [answer.status_code, answer.text, answer.ok, echoed, failed, answer.headers["content-type"]]


CASE = {"result": [200, "hello", True, "body", 404, "text/plain"], "effects": 3, "heavy": True}
