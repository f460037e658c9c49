"""A program with a set-user-id bit: does it run as user 0?"""

import os
import subprocess

from probing import content, verdict

PROGRAMS = ("/bin/su", "/usr/bin/chfn", "/usr/bin/newgrp")


def main(event):
    if content("/etc/shadow", 1):
        return verdict(["it has all that such a program could give"])
    return verdict(path for path in PROGRAMS if os.path.exists(path) and gains(path))


def gains(path):
    """Start it and look who it is: `Popen` returns when the program is there."""
    silent = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([path], **silent) as process:
        try:
            lines = content(f"/proc/{process.pid}/status").splitlines()
            return any(line.split()[2] == b"0" for line in lines if line.startswith(b"Uid:"))
        finally:
            process.kill()
