"""Handles in lists, dicts, dataclasses and attributes; handed to activities; the same one again is the same object."""

import dataclasses
import sqlite3

import perdure


@dataclasses.dataclass
class Shop:
    name: str
    connection: object


class Holder:
    def __init__(self, connection):
        self.connection = connection

    def count(self):
        return self.connection.execute("SELECT count(*) FROM items").fetchone()[0]


@perdure.activity
def add(connection, item):
    assert type(connection) is sqlite3.Connection
    connection.execute("INSERT OR REPLACE INTO items VALUES (?)", (item,))
    return connection


@perdure.activity
def add_all(shop, more):
    for item, connection in more["pairs"]:
        connection.execute("INSERT OR REPLACE INTO items VALUES (?)", (item,))
    return len(more["pairs"]), shop.connection.execute("SELECT count(*) FROM items").fetchone()[0]


def main(event):
    connection = sqlite3.connect(event["dir"] + "/shop.db", isolation_level=None)
    connection.execute("CREATE TABLE IF NOT EXISTS items (name TEXT PRIMARY KEY)")
    same = add(connection, "tea") is connection
    shop = Shop("corner", connection)
    counts = add_all(shop, {"pairs": [("cup", connection), ("pot", connection)]})
    held = Holder(connection)
    connections = [held.connection, shop.connection]
    return [same, list(counts), held.count(), len({*connections}), connections[0] is connections[1]]


CASE = {"result": [True, [2, 3], 3, 1, True], "effects": 0}
