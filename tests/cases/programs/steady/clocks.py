"""Clocks are recorded: what user code saw once is what it sees in every replay."""

import time
from datetime import date, datetime, timezone

from web import get


def main(event):
    first = time.time()
    steady = time.monotonic()
    count = time.perf_counter_ns()
    now = datetime.now()
    aware = datetime.now(timezone.utc)
    today = date.today()
    print(first, steady, count, now.isoformat(), aware.isoformat(), today.isoformat())
    print(get(event["url"] + "/between"))
    return {
        "texts": [repr(first), repr(steady), repr(count), now.isoformat(), aware.isoformat(), today.isoformat()],
        "order": time.time() >= first and time.monotonic() >= steady,
        "stamp": time.strftime("%Y", time.gmtime(0)),
    }


CASE = {
    "check": "prints[0].split() == result['texts'] and result['order'] and result['stamp'] == '1970'",
    "effects": 1,
}
