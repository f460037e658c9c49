"""Passwords, settings and memory of the machine."""

import os

from probing import attempt, may_open, verdict

FILES = ("/etc/shadow", "/etc/sudoers", "/root/.profile", "/root/.bashrc", "/proc/kcore", "/proc/kmsg")
FOLDERS = ("/var/lib/docker", "/lost+found", "/root/.ssh")


def main(event):
    readable = [path for path in FILES if may_open(path, os.O_RDONLY)]
    return verdict(readable + [path for path in FOLDERS if attempt(os.listdir, path) is not None])
