"""As many open files as possible."""

import os

from probing import saw, verdict


def main(event):
    made = []
    try:
        while len(made) < 4000:
            made.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return verdict([])
    finally:
        for descriptor in made:
            os.close(descriptor)
    return saw(len(made), "open files")
