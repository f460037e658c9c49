"""More of the processors than the session's share."""

import os
import time

WALL_S = 1.5


def main(event):
    began = time.monotonic()
    made = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            while time.monotonic() - began < WALL_S:
                pass
            os._exit(0)
        made.append(pid)
    for pid in made:
        os.waitpid(pid, 0)
    took = os.times()
    share = (took.children_user + took.children_system) / (time.monotonic() - began)
    return {"leaked": share > 1.5 * event["limits"]["cpus"], "detail": f"{share:.2f} processors"}
