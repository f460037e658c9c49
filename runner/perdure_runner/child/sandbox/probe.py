"""How runners could be held on this machine: tried, not guessed."""

import os
from collections.abc import Callable, Sequence

from perdure_runner.child.sandbox import landlock, nest, places, seccomp
from perdure_runner.child.sandbox.cell import Cell, Isolation, Settings

_NO_TABLE = f"no table of system calls for {os.uname().machine}"


def run(state: str, packages: Sequence[str]) -> dict[str, object]:
    """Give "reasons": for each kind of isolation why it cannot be had, "" if it can; "shown": what its sessions have
    to see of this machine; "network": what besides, with the machine's network; "filter": of system calls, for who
    makes a sandbox of other means, as hexadecimal digits. `state`: the host's directory."""
    shown = [*places.SYSTEM, *places.CONFIGURATION, *places.of_the_interpreter(packages, state)]
    program = seccomp.strict(seccomp.STARTING) if seccomp.supported() else b""
    reasons = _reasons(state, packages)
    return {"reasons": reasons, "shown": shown, "network": [*places.NETWORK], "filter": program.hex()}


def _reasons(state: str, packages: Sequence[str]) -> dict[str, str]:
    if not seccomp.supported():
        return dict.fromkeys(("namespaces", "landlock"), _NO_TABLE)
    return {
        "namespaces": _in_a_fork(lambda: _try(Settings(Isolation.NAMESPACES, state, packages))),
        "landlock": "" if landlock.version() else "the kernel has no Landlock, or it is switched off",
    }


def _try(settings: Settings) -> None:
    """Be a zygote and one session of it, in all that can fail."""
    cell = nest.open_cell(settings)
    cell.ready()
    forked = cell.fork()
    if forked.pid == 0:
        os._exit(_code(lambda: _enter(cell, settings.hidden)))
    _, status = os.waitpid(forked.pid, 0)
    if status:
        os._exit(1)  # it has said why


def _enter(cell: Cell, folder: str) -> None:
    cell.settle()
    cell.leave_network()
    cell.enter({"network": "none", "code": folder, "disk": 1 << 20, "files": 16}, counted=False)


def _in_a_fork(attempt: Callable[[], None]) -> str:
    """Run it where it can do no harm. Gives the error's text; "" for none."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        os.dup2(write, 1)
        os._exit(_code(attempt))
    os.close(write)
    with os.fdopen(read, "rb") as said:
        text = said.read().decode("utf-8", "replace").strip()
    _, status = os.waitpid(pid, 0)
    return text or ("" if status == 0 else f"the attempt ended with status {status}")


def _code(attempt: Callable[[], None]) -> int:
    try:
        attempt()
    except Exception as error:  # noqa: BLE001 (whatever it is: it is why this machine cannot)
        os.write(1, f"{error}\n".encode())
        return 1
    return 0
