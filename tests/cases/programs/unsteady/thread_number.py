"""A branch on the number of the operating system's thread, which every process has its own."""

import threading

from web import get


def main(event):
    get(event["url"] + "/first")
    get(f"{event['url']}/{threading.get_native_id()}")  # differs
    return get(event["url"] + "/last")  # before which the other one is durable: it can be lost with a crash


CASE = {"says": "thread_number.py:10"}
