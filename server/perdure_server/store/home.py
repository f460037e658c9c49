"""The home folder: who may write in it, and the key that its sessions' keys are derived from."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import socket
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from perdure_server.core.errors import PerdureError

_KEY_BYTES: Final = 32
_FOLDERS: Final = ("blobs", "host", "imported")
_UNUSABLE: Final = frozenset(
    {
        *(errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.EACCES, errno.EPERM, errno.EROFS),
    }
)
IMPORTED: Final = "import:"
"""Begins the name that stands for the id of the session whose key signed an imported session's journal."""


def make_home(home: Path) -> None:
    """The folder, if it is not there yet; what sessions record is for nobody but its owner to read. P0237: there is no
    place for it, as in /proc."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in _UNUSABLE | {errno.ENOENT}:
            raise
        raise _cannot_be_used(home, error) from error


@contextlib.contextmanager
def usable(home: Path) -> Iterator[None]:
    """While the home is opened. P0237 when what is there cannot be used: a file where a folder belongs, say."""
    try:
        for folder in (home / name for name in _FOLDERS):
            if folder.exists() and not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        yield
    except OSError as error:
        if error.errno not in _UNUSABLE or not _concerns(error.filename, home):
            raise
        raise _cannot_be_used(home, error) from error


def _cannot_be_used(home: Path, error: OSError) -> PerdureError:
    why = os.strerror(errno.ENOTDIR if error.errno == errno.EEXIST else error.errno or 0)
    return PerdureError(
        "P0237",
        f"the home {home} cannot be used: {os.fsdecode(error.filename)}: {why}",
        help="move away what is in its place, or give it to this user; or choose another --home",
    )


def _concerns(name: object, home: Path) -> bool:
    """Does a path lie in the home, or the home in it?"""
    if not isinstance(name, str | bytes | os.PathLike):
        return False
    path, root = Path(os.path.abspath(os.fsdecode(name))), Path(os.path.abspath(home))
    return path.is_relative_to(root) or root.is_relative_to(path)


def absolute(home: Path) -> Path:
    """The same folder, wherever this process goes."""
    return home.absolute()


class HomeLock:
    """An advisory lock on HOME/lock, for as long as this object or the process lives. Its holder is written in it."""

    def __init__(self, home: Path, name: str = "lock") -> None:
        """Raises `PerdureError` P0202, which names the holder, when another process has it."""
        make_home(home)
        path = home / name
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _describe(os.pread(self._file, 4096, 0))
            os.close(self._file)
            raise PerdureError(
                "P0202",
                f"{home} is in use by {holder}",
                help="stop it, talk to it with --server, or choose another --home",
            ) from None
        started = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started_at": started})
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode() + b"\n", 0)

    def release(self) -> None:
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class SessionKeys:
    """Keys for the digests of recorded values: known to the runner of the session, never to the database."""

    def __init__(self, key: bytes, folder: Path | None = None) -> None:
        """`folder`: of the keys that came with imported sessions; None keeps them in memory."""
        self._key = key
        self._folder = folder
        self._imported: dict[str, bytes] = {}

    @classmethod
    def of(cls, home: Path) -> SessionKeys:
        """From HOME/key, which is made when it is not there. P0209 when it is damaged."""
        path = home / "key"
        if not path.exists():
            create_private(path, secrets.token_bytes(_KEY_BYTES))
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise PerdureError("P0209", f"{path} is damaged: it has {len(key)} bytes, not {_KEY_BYTES}")
        return cls(key, home / "imported")

    @classmethod
    def random(cls) -> SessionKeys:
        return cls(secrets.token_bytes(_KEY_BYTES))

    def session_key(self, session_id: str) -> bytes:
        """32 bytes: HMAC-SHA256 of the session's id; of an imported one, the key that came with it, else P0234."""
        if session_id.startswith(IMPORTED):
            return self._of_import(session_id)
        return hmac.digest(self._key, session_id.encode(), hashlib.sha256)

    def put_import(self, key: bytes | None) -> str:
        """Keep the key of a session that is about to be imported, if it is known; the name that stands for it."""
        token = secrets.token_hex(16)
        if key is None:
            return IMPORTED + token
        if self._folder is not None:
            make_home(self._folder)
            create_private(self._folder / token, key)
        self._imported[token] = key
        return IMPORTED + token

    def drop_imports(self, kept: Collection[str], before_us: int) -> None:
        """Delete keys from before a time but for those of these names."""
        for path in self._folder.iterdir() if self._folder is not None and self._folder.is_dir() else ():
            if IMPORTED + path.name not in kept and path.stat().st_mtime_ns // 1000 < before_us:
                path.unlink()
                self._imported.pop(path.name, None)

    def _of_import(self, name: str) -> bytes:
        token = name.removeprefix(IMPORTED)
        if (known := self._imported.get(token)) is not None:
            return known
        try:
            # The name is one of ours, from the database: it is no path.
            key = (self._folder / token).read_bytes() if self._folder is not None else b""
        except FileNotFoundError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise PerdureError(
                "P0234",
                "the session was imported without its key: its recorded values cannot be read",
                help="export it again, in its own home, with `perdure sessions export ID --with-key`",
            )
        self._imported[token] = key
        return key


def create_private(path: Path, content: bytes) -> None:
    """Make the file whole or not at all, readable by its owner only. Of two that try, the first one's content stays."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, content)
        os.fsync(file)
    finally:
        os.close(file)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _describe(text: bytes) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']}, started {holder['started_at']}"
    except (ValueError, KeyError, TypeError):
        return "another coordinator"
