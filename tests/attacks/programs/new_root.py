"""Another root: with one, the handle of a folder leads out of it."""

import os

from probing import attempt, in_child, verdict


def main(event):
    return verdict(["chroot"] if in_child(lambda: attempt(changes_root)) else [])


def changes_root():
    os.chroot("/tmp")
    return True
