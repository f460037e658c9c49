"""A record with a number that does not fit the journal."""

from probing import frame, say, wait_for_the_host


def main(event):
    say(frame(f'{{"t":"log","no":{1 << 70},"o":0,"i":1,"s":1,"at":1,"x":"huge"}}'))
    return wait_for_the_host()
