"""More of the processors than the session's share."""

import os
import time

WALL_S = 3.0
PROCESSES = 32  # so that they have their part of a machine that others use, too, whose processes go first


def main(event):
    began = time.monotonic()
    made = []
    for _ in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            os.setsid()  # where the kernel shares processors among sessions of processes, each has a share of its own
            while time.monotonic() - began < WALL_S:
                pass
            os._exit(0)
        made.append(pid)
    for pid in made:
        os.waitpid(pid, 0)
    took = os.times()
    share = (took.children_user + took.children_system) / (time.monotonic() - began)
    return {"leaked": share > 1.5 * event["limits"]["cpus"], "detail": f"{share:.2f} processors"}
