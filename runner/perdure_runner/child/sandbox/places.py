"""What a session sees of the machine's files: what its interpreter and ordinary programs need, and nothing else."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
CONFIGURATION = tuple(
    f"/etc/{name}"
    for name in (
        *("alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "fonts", "gai.conf"),
        *("host.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "magic", "mime.types", "pki"),
        *("protocols", "services", "ssl", "terminfo", "timezone"),
    )
)
NETWORK = ("/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf")
"""Only where a session has the machine's network."""
DEVICES = ("null", "zero", "full", "random", "urandom")


def of_the_interpreter(packages: Iterable[str], hidden: str) -> Sequence[str]:
    """Folders and files that this interpreter needs, and `packages` of ours; each once, none inside another.

    `hidden`: the host's state directory. A folder that holds it is left out, whoever put it on `sys.path`.
    """
    wanted = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, os.path.dirname(sys.executable)]
    wanted += [os.path.dirname(os.path.realpath(sys.executable)), os.path.dirname(os.__file__), *sys.path, *packages]
    return outermost(place for place in _with_targets(wanted) if os.path.exists(place) and not holds(place, hidden))


def outermost(places: Iterable[str]) -> Sequence[str]:
    """Without those that lie in others of them."""
    kept: list[str] = []
    for place in sorted({os.path.abspath(place) for place in places if place}):
        if not any(holds(other, place) for other in (*kept, *SYSTEM)):
            kept.append(place)
    return kept


def holds(folder: str, place: str) -> bool:
    """Whether `place` is `folder`, or lies in it. Both are absolute."""
    return os.path.commonpath((folder, place)) == folder


def _with_targets(places: Iterable[str]) -> Iterator[str]:
    for place in places:
        if os.path.isabs(place):
            yield place
            yield os.path.realpath(place)
