"""A record with a number that was there before."""

from probing import frame, say, wait_for_the_host


def main(event):
    text = '{"t":"log","no":%d,"o":0,"i":1,"s":1,"at":1,"x":"again"}'
    say(frame(text % 1), frame(text % 1))
    return wait_for_the_host()
