"""A program as ordinary Python runs it: no perdure but its SDK. Runs in a process of its own."""

from __future__ import annotations

import asyncio
import atexit
import importlib
import inspect
import io
import json
import os
import sys
from typing import Any


def run_plain(code: str, entry: str, event: dict[str, Any], variables: dict[str, str]) -> dict[str, Any]:
    """Run the handler here: {"result", "error", "prints", "errors"}. Changes this process for good."""
    os.environ.clear()
    os.environ.update({"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": code, "LANG": "C.UTF-8", **variables})
    os.chdir(code)
    sys.path.insert(0, code)
    sys.dont_write_bytecode = True
    sys.stdout, sys.stderr = out, err = io.StringIO(), io.StringIO()
    atexit._clear()  # what the parent of this fork has to do at its end
    file, _, name = entry.partition(":")
    result, error = None, None
    try:
        handler = getattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), name)
        result = handler(*[event][: len(inspect.signature(handler).parameters)])
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        assert json.loads(json.dumps(result)) == result, "the programs' results are plain JSON: they are compared"
    except SystemExit as exit_:
        error = None if exit_.code in {None, 0} else f"SystemExit: {exit_}"
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    atexit._run_exitfuncs()
    return {"result": result, "error": error, "prints": lines(out.getvalue()), "errors": lines(err.getvalue())}


def lines(text: str) -> list[str]:
    """Lines of output; an end of line at the very end does not make another one."""
    return text.removesuffix("\n").split("\n") if text else []
