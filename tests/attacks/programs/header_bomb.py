"""A header with two hundred thousand keys."""

from probing import frame, say, wait_for_the_host


def main(event):
    keys = ",".join(f'"k{number}":{number}' for number in range(200_000))
    say(frame('{"t":"log","no":1,' + keys + "}"))
    return wait_for_the_host()
