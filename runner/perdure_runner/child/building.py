"""Runs a program that may run code of packages (their build backends), confined as a session is; hands out its result.

Only where there are namespaces. The program sees the interpreter, what it is shown, and a folder of its inputs; what it
writes is in memory and gone with it, but for the result, which goes to standard output as a tar archive.
"""

import os
import subprocess
import sys
import tarfile
import traceback
from collections.abc import Mapping, Sequence
from typing import Final

from perdure_runner.child.sandbox import nest
from perdure_runner.child.sandbox.cell import Isolation, Settings

NO_SANDBOX: Final = 125
"""Exit status where the program was not run, because nothing can hold it."""
_LIMITS: Final[Mapping[str, object]] = {
    "network": "all",  # builds fetch their tools
    "memory": 2 << 30,
    "disk": 4 << 30,
    "files": 200_000,
    "processes": 512,
    "open_files": 4096,
}


def run(settings: Settings, folder: str, result: str, command: Sequence[str]) -> int:
    """Run a command in `folder`; if it succeeds, hand out the file or folder `result` in it. Gives its exit status."""
    try:
        held = nest.open_cell(settings)  # another process may go on from here
        held.ready()
        forked = held.fork()
    except OSError as error:
        return _no_sandbox(error)
    if forked.pid == 0:
        status = NO_SANDBOX
        try:
            held.settle()
            held.enter({**_LIMITS, "code": folder}, counted=False)
            os.chdir(folder)
            status = _confined(result, command)
        except BaseException:  # noqa: BLE001 (nothing may get past a fork)
            traceback.print_exc()
        finally:
            os._exit(status)
    _, ended = os.waitpid(forked.pid, 0)
    return os.waitstatus_to_exitcode(ended) & 0xFF


def confinement(state: str, shown: Sequence[str]) -> Settings:
    """How it is held: `shown` are paths that it sees besides its interpreter, `state` is a folder that it must not."""
    return Settings(Isolation.NAMESPACES, state, shown)


def _confined(result: str, command: Sequence[str]) -> int:
    status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode
    if status == 0:
        with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
            archive.add(result)
        sys.stdout.buffer.flush()
    return status


def _no_sandbox(error: OSError) -> int:
    print(f"no namespaces here: {error}", file=sys.stderr)
    return NO_SANDBOX
