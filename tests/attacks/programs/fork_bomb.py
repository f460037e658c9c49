"""As many processes as possible."""

import os
import signal

from probing import saw, verdict


def main(event):
    made = []
    try:
        while len(made) < 400:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            made.append(pid)
    except OSError:
        return verdict([])
    finally:
        for pid in made:
            os.kill(pid, signal.SIGKILL)
        for pid in made:
            os.waitpid(pid, 0)
    return saw(len(made), "processes")
