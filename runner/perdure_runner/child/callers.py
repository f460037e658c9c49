"""Where in user code a call comes from that no site has seen: one of the SDK's, or one that library code makes."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Final

from perdure_runner.child import attempts
from perdure_runner.child.patching.sites import SiteInfo

_MOST: Final = 4096


class Callers:
    """Finds user code from a frame on outwards."""

    def __init__(self, is_user_file: Callable[[str], bool], relative: Callable[[str], str]) -> None:
        """relative: from the path of a file to what `SiteInfo.file` is."""
        self._is_user_file = is_user_file
        self._site_at = functools.lru_cache(_MOST)(lambda path, line: SiteInfo(relative(path), line, 0, None, path))
        self.known: Final[dict[tuple[int, int], tuple[types.CodeType, SiteInfo]]] = {}
        """Instructions of user code that have called: by the id of their code, and their place in it."""

    def site(self, frame: types.FrameType) -> SiteInfo | None:
        """Where user code calls from; None if it is not around `frame`."""
        user = attempts.user_frame(self._is_user_file, frame)
        if user is None:
            return None
        site = self._site_at(user.f_code.co_filename, user.f_lineno)
        if user is frame:
            if len(self.known) >= _MOST:
                self.known.clear()
            self.known[id(frame.f_code), frame.f_lasti] = frame.f_code, site
        return site
