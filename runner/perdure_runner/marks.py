"""Markers of plain data, many in one frame: packed by the child, taken apart by the host into a `rec` frame for each.

The header of a `marks` frame has `no` (of the first of them), `sync`, `n` (how many there are) and `e`: a list of what
many have in common, the keys `lane fn file line col src` of an entry. The payload is columns of `n` items each,
little-endian and without gaps: u16 which of `e`, u64 ordinal, u64 began, u64 ended (both in nanoseconds, Unix time),
u8 size of the value, 16 bytes digest of the arguments, 16 bytes MAC of the value; then the values, JSON in UTF-8.
What follows from these is not sent: times in microseconds, and the preview, which is the repr of the value.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Sequence

from perdure_runner import frames
from perdure_runner.frames import Frame, FrameError, Header

MOST = 1024
"""Markers that a frame may hold."""
MAX_VALUE = 255
"""Bytes of a value."""
DIGEST = 16
"""Bytes of digests and of MACs."""
MAX_COMMON = 4 << 20
"""Characters that a frame's records may have in common, each counted as often as it is in a record: a small frame must
not make a message that no coordinator takes."""
_COMMON = frozenset({"lane", "fn", "file", "line", "col", "src"})
_MARKER, _JSON = 4, 1  # numbers of journal.proto


def pack(
    number: int,
    heads: Iterable[str],
    which: Sequence[int],
    ordinals: Sequence[int],
    began_ns: Sequence[int],
    ended_ns: Sequence[int],
    digests: Sequence[bytes],
    macs: Sequence[bytes],
    values: Sequence[bytes],
    *,
    sync: bool,
) -> bytes:
    """A frame of markers, of which `number` is that of the first. heads: what is in common, as JSON objects."""
    count = len(values)
    header = f'{{"t":"marks","no":{number},"sync":{sync:d},"n":{count},"e":[{",".join(heads)}]}}'
    columns = struct.pack(_columns(count), *which, *ordinals, *began_ns, *ended_ns, *map(len, values))
    return frames.pack(header, b"".join((columns, *digests, *macs, *values)))


def unpack(header: Header, payload: bytes) -> Iterator[Frame]:
    """The `rec` frames that say the same. Entries are checked no further than is needed to take the frame apart.

    Raises:
        FrameError: it is not such a frame.
    """
    number, sync, count, heads = header.get("no"), header.get("sync"), header.get("n"), header.get("e")
    if type(number) is not int or type(count) is not int or not 0 < count <= MOST:
        raise FrameError(f"a frame of {count!r:.40} markers from number {number!r:.40} on")
    if type(heads) is not list or not all(type(head) is dict and head.keys() <= _COMMON for head in heads):
        raise FrameError(f"what markers have in common is no list of objects of {', '.join(sorted(_COMMON))}")
    columns = struct.Struct(_columns(count))
    digests = columns.size
    macs = digests + DIGEST * count
    at = macs + DIGEST * count
    if at > len(payload):
        raise FrameError(f"{count} markers in {len(payload)} bytes")
    numbers = columns.unpack_from(payload)
    if at + sum(numbers[4 * count :]) != len(payload) or max(numbers[:count]) >= len(heads):
        raise FrameError(f"{count} markers that do not fit their frame of {len(payload)} bytes")
    lengths = [sum(len(text) for text in head.values() if type(text) is str) for head in heads]
    if (common := sum(lengths[which] for which in numbers[:count])) > MAX_COMMON:
        raise FrameError(f"{count} markers that have {common} characters in common")
    for i in range(count):
        which, ordinal, began_ns, ended_ns, size = numbers[i::count]
        value = payload[at : at + size]
        at += size
        entry = heads[which] | {
            "ord": ordinal,
            "kind": _MARKER,
            "dig": payload[digests + DIGEST * i : digests + DIGEST * (i + 1)].hex(),
            "at": ended_ns // 1000,
            "dur": max(0, ended_ns - began_ns) // 1000,
            "enc": _JSON,
            "mac": payload[macs + DIGEST * i : macs + DIGEST * (i + 1)].hex(),
            "pv": _preview(value),
            "size": size,
        }
        yield {"t": "rec", "no": number + i, "sync": sync and i == count - 1, "e": entry}, value


def expanded(sent: Iterable[Frame]) -> Iterator[Frame]:
    """These frames, with the records of its markers in place of each that `unpack` takes."""
    for header, payload in sent:
        if header["t"] == "marks":
            yield from unpack(header, payload)
        else:
            yield header, payload


def _columns(count: int) -> str:
    return f"<{count}H{3 * count}Q{count}B"


def _preview(value: bytes) -> str:
    try:
        text = value.decode()  # of bytes, `loads` would take other encodings, too
        atom = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameError(f"a marker's value is no JSON: {value!r:.80}") from None
    if type(atom) is int or type(atom) is float:
        return text
    if isinstance(atom, list | dict):
        raise FrameError("a marker's value is no atom")
    return repr(atom)
