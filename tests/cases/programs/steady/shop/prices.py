"""Prices, from outside."""

from web import get


def price(url, name):
    return len(get(f"{url}/{name}"))
