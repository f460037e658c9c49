"""Runs in `.venv-libraries`: records the rows of the table into a file, or replays them from it in another process.

`worker.py record FILE` writes {name: {encoding, data, mac, error, look, type}}; `worker.py replay FILE` prints
{name: {look, type}}. What was refused has `code` instead.
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import perdure
from perdure_runner.child.values.codec import Codec
from table import ROWS, Row

codec = Codec(b"k" * 32, 1 << 24)


def attempt(row: Row) -> tuple[Any, bool]:
    """The value and False, or the exception and True."""
    names: dict[str, Any] = {"made": importlib.import_module("made")}
    for module in filter(None, row.modules.split(", ")):
        importlib.import_module(module)
        names[module.partition(".")[0]] = sys.modules[module.partition(".")[0]]
    try:
        return eval(row.make, names), False
    except Exception as error:
        if isinstance(error, (NameError, ImportError, AttributeError)) and not row.name.startswith("attrs"):
            raise
        return error, True


def looked(row: Row, value: Any) -> dict[str, str]:
    """What the value holds, as text."""
    return {"look": repr(eval(row.look, {"v": value})), "type": f"{type(value).__module__}.{type(value).__qualname__}"}


def record(row: Row) -> dict[str, Any]:
    """One row, recorded."""
    value, failed = attempt(row)
    if row.look == "P0401":
        try:
            codec.encode(value)
        except perdure.Error as error:
            return {"code": error.code, "says": str(error)}
        return {"code": "recorded"}
    encoded = codec.encode_error(value) if failed else codec.encode(value)
    known = {"encoding": encoded.encoding, "data": base64.b64encode(encoded.data).decode(), "mac": encoded.mac.hex()}
    return known | {"error": failed} | looked(row, value)


def replay(row: Row, known: dict[str, Any]) -> dict[str, Any]:
    """One row, replayed from its record alone."""
    if "data" not in known:
        return {}
    data = base64.b64decode(known["data"])
    return looked(row, codec.decode(known["encoding"], data, bytes.fromhex(known["mac"])))


def each(work: Callable[[Row], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """All rows; a row that fails says how."""
    told = {}
    for row in ROWS:
        try:
            told[row.name] = work(row)
        except BaseException as error:
            told[row.name] = {"failed": f"{type(error).__name__}: {error}"}
    return told


def main(verb: str, file: str) -> None:
    """See the module's docstring."""
    if verb == "record":
        Path(file).write_text(json.dumps(each(record)))
    else:
        known = json.loads(Path(file).read_text())
        print(json.dumps(each(lambda row: replay(row, known[row.name]))))


main(*sys.argv[1:])
