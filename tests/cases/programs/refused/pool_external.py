"""The same in a thread pool."""

import sys
from concurrent.futures import ThreadPoolExecutor


def main(event):
    sys.path.append(event["lib"])
    import outside

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(outside.get, [event["url"] + "/a", event["url"] + "/b"]))


CASE = {"error": "ConcurrencyError", "code": "P0404", "says": "thread"}
