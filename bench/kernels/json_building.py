"""Dictionaries, lists and strings: documents are put together, written as JSON and read back."""

import json

ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def quoted(text):
    return '"' + "".join([ESCAPES.get(character, character) for character in text]) + '"'


class Writer:
    def __init__(self):
        self.parts = []

    def write(self, value):
        match value:
            case None:
                self.parts.append("null")
            case bool():
                self.parts.append("true" if value else "false")
            case int() | float():
                self.parts.append(repr(value))
            case str():
                self.parts.append(quoted(value))
            case dict():
                self.write_items("{", value.items(), "}")
            case _:
                self.write_values("[", value, "]")

    def write_items(self, opening, items, closing):
        separator = opening
        for key, value in items:
            self.parts.append(separator + quoted(key) + ":")
            self.write(value)
            separator = ","
        self.parts.append(closing if separator == "," else opening + closing)

    def write_values(self, opening, values, closing):
        separator = opening
        for value in values:
            self.parts.append(separator)
            self.write(value)
            separator = ","
        self.parts.append(closing if separator == "," else opening + closing)

    def text(self):
        return "".join(self.parts)


def address(number):
    return {"street": f"Lane {number % 17}", "zip": str(10000 + number), "lines": ["a\tb", 'c "d"']}


def order(number):
    rows = [{"sku": f"S-{number + i}", "count": i % 5, "price": (number + i) * 1.25} for i in range(4)]
    document = {"id": number, "open": number % 2 == 0, "note": None, "rows": rows}
    document.update(to=address(number), total=sum(row["price"] * row["count"] for row in rows))
    document.setdefault("tags", []).append("new" if number % 3 else "old")
    return document


def run(size):
    length = 0
    for n in range(size * 12):
        document = order(n)
        writer = Writer()
        writer.write(document)
        text = writer.text()
        assert json.loads(text) == document
        length += len(text) + len(json.dumps(document))
    return length
