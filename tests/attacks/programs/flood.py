"""Frames as fast as they can be written, and never a look at what comes back."""

from probing import frame, say, verdict


def main(event):
    text = '{"t":"log","no":%d,"o":0,"i":%d,"s":1,"at":1,"x":"' + "x" * 1000 + '"}'
    for start in range(0, 20_000, 500):
        say(b"".join(frame(text % (1 + number, number)) for number in range(start, start + 500)))
    return verdict([])
