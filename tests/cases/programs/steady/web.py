"""What the programs call the outside world with: functions marked as activities, on the standard library's client."""

import encodings.idna  # noqa: F401  a finalizer that runs while a connection imports it would find it half made
import http.client
from urllib.parse import urlsplit

import perdure


class HttpError(Exception):
    """The answer was not 200."""

    def __init__(self, status, text):
        super().__init__(f"{status} {text}")
        self.status = status


def request(method, url, body=None, headers=()):
    """One request; its body as bytes."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request(method, parts.path, body, dict(headers))
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise HttpError(answer.status, text.decode())
    return text


@perdure.activity
def get(url):
    """GET, as text."""
    return request("GET", url).decode()


@perdure.activity
def get_bytes(url):
    """GET, as bytes."""
    return request("GET", url)


@perdure.activity
def post(url, text):
    """POST a text; what comes back."""
    return request("POST", url, text.encode()).decode()


@perdure.activity
async def aget(url):
    """GET from async code."""
    return request("GET", url).decode()


@perdure.activity
def patient(url):
    """GET; the manifest gives it a retry policy."""
    return request("GET", url).decode()
