"""The key-value store that all sessions of a project share.

Values are what JSON can say; they are at most 64 KiB large, and a project has at most 10,000 (unless its operator says
otherwise). Every operation is atomic, is done exactly once, and is recorded: replay gets the answers that the session
got. In a plain script the values live in the memory of the process.

What the coordinator refuses is raised as `RequestRefused`: P0224 (a bad key or value), P0226 (the store is full), P0227
(the value has another version), P0235 (there is no such value).
"""

from collections.abc import Callable, Iterator, MutableMapping
from enum import StrEnum
from typing import Any, NamedTuple

from perdure import _runtime
from perdure._errors import Error, RequestRefused
from perdure._local_store import LocalStore
from perdure._values import check_key, plain

_local = LocalStore()


class Op(StrEnum):
    """What `mutate_value` can do."""

    SET = "set"
    GET = "get"
    DEL = "del"
    ADD = "add"
    CHECK_AND_SET = "check_and_set"


class Versioned(NamedTuple):
    """A value (None: there is none) and its version, which rises with every change; 0 where there is none."""

    value: Any
    version: int


def _request(operation: str, key: str, **more: Any) -> Any:
    target = _local if _runtime.current is None else _runtime.current
    return target.request(f"store.{operation}", {"key": check_key(key), **more})


def get_value(key: str) -> Any:
    """The value stored under `key`; None where there is none."""
    return _request("get", key)


def set_value(key: str, value: Any, *, version: int | None = None) -> int:
    """Store `value` under `key`; None deletes what is there. Returns the new version, 0 after a deletion.

    `version`: only while what is stored has this version (0: only while there is nothing); else RequestRefused, P0227.
    """
    return int(_request("set", key, value=plain(value), version=version))


def del_value(key: str) -> None:
    """Delete what is stored under `key`, if there is anything."""
    _request("del", key)


def add_values(key: str, value: float) -> int | float:
    """Add a number to the one stored under `key` (where there is none: store it); returns the sum.

    Whole numbers stay exact, however large they are. RequestRefused, P0224, where something else is stored.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"add_values: a number is wanted, not {value!r}")
    total: int | float = _request("add", key, operand=plain(value))
    return total


def check_and_set_value(key: str, expected_value: Any, new_value: Any) -> bool:
    """Store `new_value` only if what is stored equals `expected_value` (None: if there is nothing); was it stored?

    1 and 1.0 are equal, 1 and True are not.
    """
    return bool(_request("check_and_set", key, expected=plain(expected_value), value=plain(new_value)))


def mutate_value(key: str, op: Op | str, *args: Any) -> Any:
    """Do `op` ("set", "get", "del", "add", "check_and_set") with these arguments; what its own function returns."""
    functions: dict[Op, Callable[..., Any]] = {
        Op.SET: set_value,
        Op.GET: get_value,
        Op.DEL: del_value,
        Op.ADD: add_values,
        Op.CHECK_AND_SET: check_and_set_value,
    }
    return functions[Op(op)](key, *args)


def list_values_keys(prefix: str = "") -> list[str]:
    """All keys that begin with `prefix`, sorted."""
    target = _local if _runtime.current is None else _runtime.current
    return list(target.request("store.list", {"prefix": prefix}))


def publish_value(key: str) -> None:
    """Let anyone read the value, and what it becomes, at `get_store_public_url() + "/" + key`."""
    _request("publish", key)


def unpublish_value(key: str) -> None:
    """Let nobody read the value from outside any more."""
    _request("unpublish", key)


def get_store_public_url() -> str:
    """Where published values can be read: append "/" and the key. Raises perdure.Error where nothing serves them."""
    url = "" if _runtime.current is None else _runtime.current.request("store.url", {})
    if not url:
        raise Error(
            "no address is known at which values are published",
            help="`perdure serve --http ADDRESS` and `perdure dev` serve them",
        )
    return str(url)


class Store(MutableMapping[str, Any]):
    """The store as a dict. A value is never None: to store None is to delete.

    Each method is one atomic operation; several in a row are not: see `change`.
    """

    def __getitem__(self, key: str) -> Any:
        value = get_value(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        set_value(key, value)

    def __delitem__(self, key: str) -> None:
        if not _request("del", key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and get_value(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(list_values_keys())

    def __len__(self) -> int:
        return len(list_values_keys())

    def __repr__(self) -> str:
        return "perdure.store"

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or `default`."""
        value = get_value(key)
        return default if value is None else value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value; where there is none, `default` is stored, and returned."""
        while (value := get_value(key)) is None and default is not None:
            if check_and_set_value(key, None, default):
                return get_value(key)
        return value

    def versioned(self, key: str) -> Versioned:
        """The value and its version, for `set_value(..., version=...)`."""
        return Versioned(**_request("get", key, versioned=True))

    def change(self, key: str, function: Callable[[Any], Any]) -> Any:
        """Store `function(value)` in place of the value (None: there is none), and return it.

        If somebody else was faster, `function` is called again with what is stored now.
        """
        while True:
            value, version = self.versioned(key)
            wanted = function(value)
            try:
                set_value(key, wanted, version=version)
            except RequestRefused as refused:
                if refused.code != "P0227":
                    raise
            else:
                return wanted


store = Store()
"""The store of the session's project."""
