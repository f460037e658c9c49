"""A greeting with the number of another process, so that the host would end that one."""

from probing import frame, say, wait_for_the_host


def main(event):
    say(frame(f'{{"t":"hello","v":1,"pid":{event["pids"]["victim"]}}}'))
    return wait_for_the_host()
