"""A chain of calls over several lines, with non-ASCII text and comments in it."""

from web import get


class Query:
    def __init__(self, url):
        self.url, self.parts = url, []

    def add(self, name):
        self.parts.append(name)
        return self

    def fetch(self):
        self.parts = [get(f"{self.url}/{part}") for part in self.parts]
        return self

    def text(self, sep):
        return sep.join(self.parts)


def main(event):
    return (
        Query(event["url"])
        .add("grün".encode("ascii", "ignore").decode())  # "grün" loses its ü here
        .add(
            get(
                event["url"]
                + "/second"
            )
        )
        .fetch()
        .text("·")
        .replace(
            "·", " – "
        )
    )


CASE = {"result": "grn – second", "calls": ["activity web.get"] * 3, "effects": 3}
