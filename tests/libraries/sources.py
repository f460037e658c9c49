"""The libraries, and their sources: fetched once by pip, checked by hash, kept in a folder that git ignores."""

import fcntl
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".libraries"
REQUIREMENTS = HERE / "requirements.txt"


@dataclass(frozen=True)
class Library:
    """A library whose source distribution holds its tests."""

    name: str
    """As the folder in its source distribution begins."""
    arguments: tuple[str, ...] = ("tests",)
    """What pytest is told: where the tests are, and what cannot run here even plainly (its needs are not installed)."""


LIBRARIES = (
    Library("attrs", ("tests", "--ignore=tests/test_packaging.py", "--ignore=tests/test_mypy.yml")),
    Library("boltons"),
    Library("cachetools"),
    Library("click", ("tests", "-m", "not stress", "--ignore=tests/test_utils.py")),  # a pager waits for a terminal
    Library("jinja2", ("tests", "--ignore=tests/test_async.py", "--ignore=tests/test_async_filters.py")),  # need trio
    Library("more_itertools", ("tests", "-k", "not test_primes")),  # two thirds of the time, and nothing but arithmetic
    Library("tenacity", ("tests", "--ignore=tests/test_tornado.py", "-k", "not test_sleeps")),  # has 1 ms
    Library("tomlkit"),
    Library("toolz", ("toolz",)),
)


def fetch() -> None:
    """Have every source distribution of the requirements unpacked in the cache.

    Raises subprocess.CalledProcessError if pip cannot get one (or its hash is another).
    """
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        stamp = CACHE / "complete"
        if not stamp.exists() or stamp.read_text() != REQUIREMENTS.read_text():
            _download()
            stamp.write_text(REQUIREMENTS.read_text())


def _download() -> None:
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    only_sources = ["--no-binary", ":all:", "--require-hashes", "-r", str(REQUIREMENTS), "-d", str(CACHE)]
    subprocess.run([*pip, *only_sources], check=True)
    for archive in CACHE.glob("*.tar.gz"):
        with tarfile.open(archive) as opened:
            opened.extractall(CACHE, filter="data")


def root(library: Library) -> Path:
    """The unpacked folder of a library."""
    (found,) = (path for path in CACHE.glob(f"{library.name}-*") if path.is_dir())
    return found
