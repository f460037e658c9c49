"""Calls at module level are recorded like all others: the module's state is the same in every replay."""

import random
import subprocess
import time
import uuid

from web import get

STARTED = time.time()
TOKEN = uuid.uuid4().hex
LUCKY = random.randrange(1_000_000)
SHELL = subprocess.check_output(["echo", "from the shell"], text=True).strip()
print("loading", TOKEN, LUCKY)


def main(event):
    got = get(event["url"] + "/" + TOKEN)
    print("running", TOKEN, LUCKY)
    return [STARTED, TOKEN, LUCKY, SHELL, got == TOKEN]


CASE = {
    "check": "prints == [f'loading {result[1]} {result[2]}', f'running {result[1]} {result[2]}']"
    " and result[3:] == ['from the shell', True] and result[0] > 1.7e9",
    "calls": [
        "marker time.time",
        "marker uuid.uuid4",
        "marker random.randrange",
        "activity subprocess.check_output",
        "activity web.get",
    ],
    "effects": 1,
}
