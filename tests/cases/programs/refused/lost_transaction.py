"""What a transaction did before a wait was rolled back with its connection: nothing goes on as if it had not been."""

import sqlite3
import time


def main(event):
    connection = sqlite3.connect(event["dir"] + "/x.db")
    connection.execute("CREATE TABLE IF NOT EXISTS items (name TEXT)")
    connection.execute("INSERT INTO items VALUES ('tea')")
    time.sleep(0.4)
    connection.commit()


CASE = {"error": "HandleLost", "code": "P0406", "says": "was not committed", "waits": True}
