"""sqlite3 inside activities: each is one transaction and can be repeated; rows come back as data."""

import sqlite3

import perdure


def connect(folder):
    return sqlite3.connect(folder + "/shop.db")


@perdure.activity
def prepare(folder):
    with connect(folder) as db:
        db.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT, amount REAL)")


@perdure.activity
def insert(folder, number, item, amount):
    with connect(folder) as db:
        db.execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?)", (number, item, amount))
        return db.execute("SELECT count(*) FROM orders").fetchone()[0]


@perdure.activity
def report(folder):
    with connect(folder) as db:
        return db.execute("SELECT item, sum(amount) FROM orders GROUP BY item ORDER BY item").fetchall()


def main(event):
    prepare(event["dir"])
    counts = [insert(event["dir"], i, item, i * 1.5) for i, item in enumerate(["tea", "cup", "tea"])]
    print(counts)
    return [list(row) for row in report(event["dir"])]


CASE = {
    "result": [["cup", 1.5], ["tea", 3.0]],
    "prints": ["[1, 2, 3]"],
    "calls": ["activity databases.prepare"]
    + ["activity databases.insert"] * 3
    + ["activity databases.report"],
    "effects": 0,
}
