"""The same workloads on DBOS with SQLite: `python peer_dbos.py DATABASE [--wal] [--quick]`.

Run in an environment of its own, where perdure is not installed. Prints a JSON object with samples.
"""

import json
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from dbos import DBOS, DBOSConfig


@DBOS.step()
def one() -> int:
    return 1


@DBOS.workflow()
def sequence(count: int) -> float:
    """Seconds from before the first step to after the last."""
    began = time.monotonic()
    for _ in range(count):
        one()
    return time.monotonic() - began


def sessions(count: int) -> float:
    """Workflows of five steps per second, 16 at a time."""
    began = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: DBOS.start_workflow(sequence, 5).get_result(), range(count)))
    return count / (time.monotonic() - began)


def main(database: str, *, wal: bool, quick: bool) -> None:
    if wal:
        connection = sqlite3.connect(database)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{database}",
        "log_level": "ERROR",
        "run_admin_server": False,
    }
    DBOS(config=config)
    DBOS.launch()
    runs, count = (3, 200) if quick else (5, 500)
    sequence(count // 4)
    samples = {
        "sequential_activities_per_s": [count / sequence(count) for _ in range(runs)],
        "sessions_per_s": [sessions(64 if quick else 200) for _ in range(1 if quick else 3)],
    }
    DBOS.destroy()
    print(json.dumps({"version": version("dbos"), "samples": samples}))


if __name__ == "__main__":
    main(sys.argv[1], wal="--wal" in sys.argv, quick="--quick" in sys.argv)
