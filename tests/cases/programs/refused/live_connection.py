"""A database connection made outside an activity is a live object."""

import sqlite3


def main(event):
    connection = sqlite3.connect(event["dir"] + "/x.db")
    connection.execute("SELECT 1")


CASE = {"error": "UnrecordableValue", "code": "P0401", "says": "Connection"}
