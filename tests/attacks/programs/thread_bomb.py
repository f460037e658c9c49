"""As many threads as possible."""

import threading

from probing import saw, verdict


def main(event):
    threading.stack_size(64 << 10)
    ends = threading.Event()
    made = []
    try:
        while len(made) < 400:
            made.append(threading.Thread(target=ends.wait))
            made[-1].start()
    except RuntimeError:
        return verdict([])
    finally:
        ends.set()
    return saw(len(made), "threads")
