"""The key-value store of a plain script: values in memory that are gone with the process."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from perdure import _values
from perdure._errors import RequestRefused

Body = Mapping[str, Any]


class LocalStore:
    """Does what the coordinator does for sessions, without its limits, and for this process only."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}  # JSON: nobody changes in place what is stored
        self._versions: dict[str, int] = {}
        self._retired = 0  # the highest version that was deleted: none is given to a key twice
        self._operations: dict[str, Callable[[Body], Any]] = {
            "store.get": self._get,
            "store.set": self._set,
            "store.del": self._delete,
            "store.add": self._add,
            "store.check_and_set": self._check_and_set,
            "store.list": lambda body: sorted(key for key in self._texts if key.startswith(body.get("prefix", ""))),
            "store.publish": lambda body: self._known(body["key"]),
            "store.unpublish": lambda body: self._known(body["key"]),
        }

    def request(self, operation: str, body: Body) -> Any:
        return self._operations[operation](body)

    def _value(self, key: str) -> Any:
        text = self._texts.get(key)
        return None if text is None else json.loads(text)

    def _version(self, key: str) -> int:
        return self._versions.get(key, 0)

    def _put(self, key: str, value: Any) -> int:
        if value is None:
            self._drop(key)
            return 0
        self._texts[key] = json.dumps(value)
        self._versions[key] = version = self._versions.get(key, self._retired) + 1
        return version

    def _drop(self, key: str) -> bool:
        self._retired = max(self._retired, self._versions.pop(key, 0))
        return self._texts.pop(key, None) is not None

    def _get(self, body: Body) -> Any:
        value = self._value(body["key"])
        return {"value": value, "version": self._version(body["key"])} if body.get("versioned") else value

    def _set(self, body: Body) -> int:
        key, wanted = body["key"], body.get("version")
        if wanted is not None and wanted != self._version(key):
            raise RequestRefused(f"{key!r} has version {self._version(key)}, not {wanted}", code="P0227")
        return self._put(key, body["value"])

    def _delete(self, body: Body) -> bool:
        return self._drop(body["key"])

    def _add(self, body: Body) -> int | float:
        try:
            total = _values.added(self._value(body["key"]), body["operand"])
        except (TypeError, OverflowError) as error:
            raise RequestRefused(f"{body['key']!r}: {error}", code="P0224") from None
        self._put(body["key"], total)
        return total

    def _check_and_set(self, body: Body) -> bool:
        matches = _values.same(self._value(body["key"]), body["expected"])
        if matches:
            self._put(body["key"], body["value"])
        return matches

    def _known(self, key: str) -> None:
        if key not in self._texts:
            raise RequestRefused(f"there is no {key!r} in the store", code="P0235")
