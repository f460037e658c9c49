"""Part of lazy_imports.py: imports the module that imports it."""

import lazy_part
from web import get


def fetch(url):
    return get(url + "/two")


def partner():
    return lazy_part.late.__module__
