"""Processes that an activity forks are no part of the session: they record nothing, and say nothing in its place."""

import multiprocessing
import os
import random
import time

import perdure
from web import get


def other(url, queue):
    print("not of the session")
    queue.put([get(f"{url}/other"), random.random() < 2])


@perdure.activity
def forking(url):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        print("not of the session")
        told = [time.time() > 0, get(f"{url}/child")]
        os.write(writing, repr(told).encode())
        os._exit(7)
    os.close(writing)
    told = os.read(reading, 100).decode()
    os.close(reading)
    return [told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]


@perdure.activity
def processing(url):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=other, args=(url, queue))
    process.start()
    answer = queue.get()
    process.join()
    return [answer, process.exitcode]


def main(event):
    url = event["url"]
    told = forking(url)
    print("of the session", told)
    return [told, processing(url), get(f"{url}/parent")]


CASE = {"result": [["[True, 'child']", 7], [["other", True], 0], "parent"]}
