"""Imported when needed."""

from ..prices import get


def fetch(url):
    return get(url + "/lazily")
