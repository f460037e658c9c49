"""Half a frame, and then nothing, for ever."""

import time

from probing import frame, say


def main(event):
    say(frame('{"t":"log","no":1,"o":0,"i":1,"s":1,"at":1,"x":"settled"}') + b"\0\0\1\0\0\0")
    while True:
        time.sleep(1)
