"""Part of lazy_imports.py."""

from web import get


def early(url):
    import lazy_part_two

    return lazy_part_two.get(url + "/early")


def late(url):
    return get(url + "/late")
