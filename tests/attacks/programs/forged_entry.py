"""An entry of the journal that only the coordinator writes: how a wait of the session ended."""

from probing import frame, say, wait_for_the_host


def main(event):
    say(frame('{"t":"rec","no":1,"sync":1,"e":{"kind":5,"seq":1,"lane":"m","ord":1,"how":1}}'))
    return wait_for_the_host()
