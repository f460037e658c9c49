"""Imports from two levels above."""

from .. import prices


def deep(url):
    return prices.get(url + "/deep")
