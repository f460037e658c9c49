"""A record with a number that no counter has."""

from probing import frame, say, wait_for_the_host


def main(event):
    say(frame('{"t":"log","no":-1,"o":0,"i":1,"s":1,"at":1,"x":"minus"}'))
    return wait_for_the_host()
