"""All watches of files that a user may have (inotify), so that nobody else of the same user gets one."""

import time

from probing import libc


def main(event):
    made = 0
    while made < 200 and libc.inotify_init1(0) >= 0:
        made += 1
    print("settled")
    time.sleep(60)


def other(event):
    """What another session has of it meanwhile."""
    refused = libc.inotify_init1(0) < 0
    return {"leaked": refused, "detail": "another session cannot watch files" if refused else ""}
