"""The lock of a project's requirements: every package with its version and the hashes of its files.

A lock is made by the coordinator, is a blob by digest, and is read by every host that runs the project. Its bytes are
canonical: the same packages give the same digest. Hosts trust nothing in it but what has the form that is said here,
for what they hand to uv must not be able to hold an option.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_BYTES = 8 << 20
MAX_PACKAGES = 5_000

_FORMAT = 1
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,127}")
_HASH = re.compile(r"sha(256|384|512):[0-9a-f]{64,128}")
_PYTHON = re.compile(r"3\.\d{1,3}")
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?P<rest>.*)")


class LockError(ValueError):
    """The bytes are no lock."""


@dataclass(frozen=True, slots=True)
class Package:
    """`name` is normalized (PEP 503)."""

    name: str
    version: str
    hashes: tuple[str, ...]  # "sha256:..."; one of them is that of the file which is installed

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class Lock:
    """`python` is the minor version that it is for; `sdists`: source distributions may be built."""

    python: str
    packages: tuple[Package, ...]
    sdists: bool = False

    @classmethod
    def compiled(cls, text: str, python: str, *, sdists: bool) -> "Lock":
        """The lock in what `uv pip compile --generate-hashes` writes.

        Raises:
            LockError: it is something else.
        """
        packages = []
        for line in text.replace("\\\n", " ").splitlines():
            if not (line := line.partition(" #")[0].strip()) or line.startswith("#"):
                continue
            pinned = _PINNED.fullmatch(line)
            if pinned is None:
                raise LockError(f"{line!r:.200} is no pinned package")
            hashes = [word.removeprefix("--hash=") for word in pinned["rest"].split()]
            packages.append(Package(normalized(pinned["name"]), pinned["version"], tuple(hashes)))
        return _checked(cls(python, tuple(packages), sdists))

    @classmethod
    def parse(cls, data: bytes) -> "Lock":
        """Read a lock.

        Raises:
            LockError: it is none.
        """
        if len(data) > MAX_BYTES:
            raise LockError(f"a lock of {len(data)} bytes")
        try:
            content = json.loads(data)
            if content["format"] != _FORMAT:
                raise LockError(f"a lock of format {content['format']!r:.20}, not {_FORMAT}")
            packages = [Package(name, version, tuple(hashes)) for name, version, hashes in content["packages"]]
            lock = cls(content["python"], tuple(packages), content["sdists"] is True)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise LockError(f"no lock: {error}") from None
        return _checked(lock)

    def encode(self) -> bytes:
        """The blob."""
        packages = [[p.name, p.version, sorted(p.hashes)] for p in sorted(self.packages, key=lambda p: p.name)]
        content = {"format": _FORMAT, "python": self.python, "sdists": self.sdists, "packages": packages}
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

    def requirements(self) -> str:
        """What `uv pip install --require-hashes` reads."""
        return "".join(f"{p} {' '.join(f'--hash={each}' for each in p.hashes)}\n" for p in self.packages)


def normalized(name: str) -> str:
    """A package's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _checked(lock: Lock) -> Lock:
    if type(lock.python) is not str or not _PYTHON.fullmatch(lock.python):
        raise LockError(f"{lock.python!r:.40} is no version of Python")
    if len(lock.packages) > MAX_PACKAGES:
        raise LockError(f"{len(lock.packages)} packages, more than {MAX_PACKAGES}")
    for package in lock.packages:
        for pattern, texts in ((_NAME, [package.name]), (_VERSION, [package.version]), (_HASH, package.hashes)):
            _all_match(pattern, texts)
    return lock


def _all_match(pattern: re.Pattern[str], texts: Sequence[object]) -> None:
    if not texts:
        raise LockError("a package without a hash")
    for text in texts:
        if type(text) is not str or not pattern.fullmatch(text):
            raise LockError(f"{text!r:.200} is not what it should be")
