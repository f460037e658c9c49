"""More files than the session may have."""

import os
import shutil

from probing import verdict

MOST = 5_000


def main(event):
    made = []
    for place in ("/tmp", "/dev/shm"):
        folder = f"{place}/{event['mark']}"
        if fill(folder):
            made.append(f"{MOST} files in {place}")
        shutil.rmtree(folder, ignore_errors=True)
    return verdict(made)


def fill(folder):
    try:
        os.mkdir(folder)
        for number in range(MOST):
            os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY))
    except OSError:
        return False
    return True
