"""Being user 0 with power."""

import os

from probing import attempt, content, verdict


def main(event):
    for become in (os.setuid, os.seteuid, os.setgid):
        attempt(become, 0)
    status = dict(line.split(b":", 1) for line in content("/proc/self/status").splitlines() if b":" in line)
    return verdict([f"CapEff {status[b'CapEff'].strip().decode()}"] if int(status[b"CapEff"], 16) else [])
