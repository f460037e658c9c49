"""A generator whose steps call out is not begun anew: that would repeat the calls."""

import subprocess
import time

import perdure


@perdure.activity
def steps():
    yield "first"
    yield subprocess.run(["/bin/true"]).returncode
    yield "last"


def main(event):
    walk = steps()
    taken = [next(walk), next(walk)]
    time.sleep(0.4)
    return [*taken, next(walk)]


CASE = {"error": "HandleLost", "code": "P0406", "says": "would repeat a call", "waits": True}
