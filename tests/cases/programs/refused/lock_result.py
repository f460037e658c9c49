"""A lock cannot be a result; the message names where in the value it is."""

import threading

import perdure


@perdure.activity
def make():
    return {"name": "x", "parts": [1, threading.Lock()]}


def main(event):
    make()


CASE = {"error": "UnrecordableValue", "code": "P0401", "says": "lock"}
