"""Values and exceptions as the journal keeps them: encode, decode, preview, fingerprint.

JSON where it round-trips exactly, else pickle. Only the session's own runner decodes, and only what carries a digest
made with the session's key, which the store never sees: whoever can write to the store cannot run code here.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

from perdure import PayloadCorrupt, UnrecordableValue, ValueTooLarge

from perdure_runner.child.restore import Change, Outcome
from perdure_runner.child.values import inert, plain
from perdure_runner.child.values.error_report import error_info
from perdure_runner.child.values.errors_codec import LEVELS, bare_exception
from perdure_runner.child.values.fingerprint import fingerprint, fingerprint_call
from perdure_runner.child.values.pickles import Pickling, TooLarge, load_cloudpickle
from perdure_runner.child.values.plain import encode_json
from perdure_runner.child.values.preview import preview, preview_call
from perdure_runner.child.values.references import References

__all__ = [
    "DEFAULT_MAX_BYTES",
    "JSON",
    "PICKLE",
    "Codec",
    "Encoded",
    "encode_json",
    "error_info",
    "fingerprint",
    "fingerprint_call",
    "load_cloudpickle",
    "preview",
    "preview_call",
]

JSON = 1  # numbers of journal.proto's Encoding
PICKLE = 2

DEFAULT_MAX_BYTES = 64 << 20  # of one encoded value

_MAC_BYTES = 16
_NUMBERS = frozenset({int, float})
_PREVIEW_LIMIT = 200  # characters
_MORE_FRAMES = 500


class Encoded(NamedTuple):
    """A recorded value. `encoding` is JSON or PICKLE; `mac` is 16 bytes; `preview` is a short text for people.

    whole: an exception lost nothing and holds no live object; decoding gives what went in.
    """

    encoding: int
    data: bytes
    mac: bytes
    preview: str
    whole: bool = True


class Codec:
    """Encodes and decodes the values of one session.

    key: at most 64 bytes, the session's own. max_bytes: limit of one encoded value. cloudpickle_path: see
    `load_cloudpickle`; it is loaded when a value first needs it.
    """

    def __init__(self, key: bytes, max_bytes: int, cloudpickle_path: str | None = None) -> None:
        self._max_bytes = max_bytes
        self._pickling = Pickling(max_bytes, cloudpickle_path)
        # The digest covers the encoding too, or JSON could be passed off as a pickle.
        self._macs = {
            encoding: blake2b(key=key, digest_size=_MAC_BYTES, person=b"perdure %d" % encoding)
            for encoding in (JSON, PICKLE)
        }

    def encode(self, value: object, refs: References | None = None, *, as_json: bool = True) -> Encoded:
        """`refs` names objects that are not written themselves, but for parts of plain data, unless `as_json` is off.

        Raises UnrecordableValue, which names the part of `value` and where it is, or ValueTooLarge.
        """
        try:
            text = plain.dumps(value) if as_json else None
            data = self._pickling.dump(value, refs=refs) if text is None else text
        except TooLarge as error:
            raise self._too_large(error.size) from None
        except RecursionError:
            raise UnrecordableValue("result is nested too deeply to be recorded") from None
        except MemoryError:
            raise ValueTooLarge(
                "recording the value takes more memory than the session has left",
                help="Return less, or where it is stored, or raise `limits: memory` in perdure.yaml.",
            ) from None
        except Exception as error:  # the value's own __reduce__, __getstate__ and __setstate__
            raise self._unrecordable(value, refs, error) from error
        if len(data) > self._max_bytes:
            raise self._too_large(len(data))
        if text is None:
            shown = preview(value.value if type(value) is Outcome else value, _PREVIEW_LIMIT)
            return Encoded(PICKLE, data, self._mac(PICKLE, data), shown)
        if len(data) > _PREVIEW_LIMIT // 2:
            shown = preview(value, _PREVIEW_LIMIT)
        else:  # the repr of plain data is C code alone, and where the JSON is short it is short; a number's is its JSON
            shown = str(data, "ascii") if type(value) in _NUMBERS else repr(value)
        return Encoded(JSON, data, self._mac(JSON, data), shown)

    def encode_error(
        self, error: BaseException, refs: References | None = None, changes: Sequence[Change] = ()
    ) -> Encoded:
        """As much of an exception as can be recorded; fails for none. With the changes that belong to it.

        Raises UnrecordableValue: a change cannot be recorded.
        """
        adoptions = self._pickling.adoptions
        with _more_stack():
            data, whole = self._dump_error(error, refs, list(changes))
        whole = whole and adoptions == self._pickling.adoptions
        return Encoded(PICKLE, data, self._mac(PICKLE, data), preview(error, _PREVIEW_LIMIT), whole)

    def _dump_error(self, error: BaseException, refs: References | None, changes: list[Change]) -> tuple[bytes, bool]:
        subject = Outcome(error, changes) if changes else error
        for detail in LEVELS:
            try:
                return self._pickling.dump(subject, detail, refs), detail is LEVELS[0]
            except Exception:  # noqa: BLE001, S112 - code of its parts; the next level has fewer of them
                continue
        bare = bare_exception(error)
        if not changes:
            return Pickling(1 << 20).dump(bare), False
        try:
            return self._pickling.dump(Outcome(bare, changes), refs=refs), False
        except Exception as failure:  # the values' own code
            raise self._unrecordable(changes, refs, failure) from failure

    def decode(self, encoding: int, data: bytes, mac: bytes, refs: References | None = None) -> object:
        """The inverse of both, with references that know the same tokens.

        Raises PayloadCorrupt before anything is loaded that this session has not written.
        """
        if encoding not in self._macs or not compare_digest(self._mac(encoding, data), mac):
            raise PayloadCorrupt(
                f"the digest of a recorded value of {len(data)} bytes is not the one this session made"
            )
        return self.rebuild(encoding, data, refs)

    def rebuild(self, encoding: int, data: bytes, refs: References | None = None) -> object:
        """`decode` for data that this process has just encoded. Raises PayloadCorrupt."""
        try:
            return plain.loads(data) if encoding == JSON else self._pickling.load(data, refs)
        except Exception as error:  # __setstate__ and the like
            raise PayloadCorrupt(
                f"a recorded value cannot be rebuilt: {inert.type_name(type(error))}: {error}",
                help="Its code has changed: keep the class where it was, with its name, or fork the session.",
            ) from error

    def decode_json(self, data: bytes) -> object:
        """A value that came from outside the session, as JSON and without a digest. Raises PayloadCorrupt."""
        try:
            return plain.loads(data)
        except ValueError as error:
            raise PayloadCorrupt(f"a recorded value of {len(data)} bytes is no JSON: {error}") from None

    def macs(self, texts: Iterable[bytes]) -> list[bytes]:
        """The digests of values in JSON."""
        fresh, made = self._macs[JSON].copy, []
        for text in texts:
            mac = fresh()
            mac.update(text)
            made.append(mac.digest())
        return made

    def _mac(self, encoding: int, data: bytes) -> bytes:
        mac = self._macs[encoding].copy()  # a third faster than a new one with the key
        mac.update(data)
        return mac.digest()

    def _too_large(self, size: int) -> ValueTooLarge:
        return ValueTooLarge(f"the value takes {_mib(size)} recorded; the limit is {_mib(self._max_bytes)}")

    def _unrecordable(self, value: object, refs: References | None, error: Exception) -> UnrecordableValue:
        path, part = self._pickling.locate(value, "result", refs)
        why = str(error) or inert.type_name(type(error))
        return UnrecordableValue(f"{path} is a {inert.type_name(type(part))}, which cannot be recorded ({why})")


@contextmanager
def _more_stack() -> Iterator[None]:
    """Where user code has used up the stack, which is why it failed, there is some more for recording that."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + _MORE_FRAMES)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{size:,} bytes"
