"""The end of the session, with a result that its code never returned."""

from probing import frame, say, wait_for_the_host


def main(event):
    data = b'"forged"'
    say(frame('{"t":"done","no":1,"state":"completed","enc":1,"size":8}', data))
    return wait_for_the_host()
