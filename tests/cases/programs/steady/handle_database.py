"""A connection and a cursor, kept across a sleep: made again in the next process, while nothing is uncommitted."""

import sqlite3
import time


def main(event):
    connection = sqlite3.connect(event["dir"] + "/shop.db", isolation_level=None)
    connection.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT)")
    cursor = connection.cursor()
    same = cursor.connection is connection
    numbers = []
    for number, item in enumerate(["tea", "cup"], start=1):
        cursor.execute("INSERT OR REPLACE INTO orders VALUES (?, ?)", (number, item))
        numbers.append(cursor.lastrowid)
    time.sleep(0.01)
    found = cursor.execute("SELECT item FROM orders ORDER BY id")
    first = found.fetchone()
    time.sleep(0.01)
    rest = [row for row in found]
    total = connection.execute("SELECT count(*) FROM orders").fetchone()[0]
    columns = [column[0] for column in found.description]
    connection.close()
    return [same, found is cursor, numbers, list(first), list(rest[0]), len(rest), total, columns]


CASE = {
    "result": [True, True, [1, 2], ["tea"], ["cup"], 1, 2, ["item"]],
    "effects": 0,
    "waits": True,
}
