"""Files that are there whole, or not at all."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perdure_server.core.errors import PerdureError


@contextmanager
def writing(target: Path) -> Iterator[io.BufferedRandom]:
    """A new file for its owner alone, which is there when the block has ended well, or not at all. P0110, P0211."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w+b") as file:
            yield file
        draft.replace(target)
    except OSError as wrong:
        code = "P0211" if wrong.errno in {errno.ENOSPC, errno.EDQUOT} else "P0110"
        raise PerdureError(code, f"cannot write {target}: {wrong.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
