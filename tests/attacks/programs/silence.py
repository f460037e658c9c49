"""Half a frame, and then nothing, for ever."""

import time

from probing import say


def main(event):
    print("settled")
    time.sleep(0.2)
    say(b"\0\0\1\0\0\0")
    while True:
        time.sleep(1)
