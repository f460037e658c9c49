"""A user function that fails inside map and sorted, called through a built-in function."""


def key(text):
    return text.absent


def main(event):
    return sorted("ab", key=key)


CASE = {"error": "AttributeError", "says": "absent"}
