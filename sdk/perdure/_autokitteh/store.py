"""The values that all sessions of the project share."""

from typing import Any

from perdure import _store
from perdure._errors import Error
from perdure._store import (
    Op,
    add_values,
    check_and_set_value,
    del_value,
    get_value,
    mutate_value,
    publish_value,
    unpublish_value,
)

__all__ = [
    "Op",
    "Store",
    "add_values",
    "check_and_set_value",
    "del_value",
    "get_store_public_url",
    "get_value",
    "list_values_keys",
    "mutate_value",
    "publish_value",
    "set_value",
    "store",
    "unpublish_value",
]


def set_value(key: str, value: Any) -> None:
    """Store a value; None deletes what is there."""
    _store.set_value(key, value)


def list_values_keys() -> list[str]:
    """All keys, sorted."""
    return _store.list_values_keys()


def get_store_public_url() -> str:
    """Where published values can be read. Raises ValueError where nothing serves them."""
    try:
        return _store.get_store_public_url()
    except Error as error:
        raise ValueError(f"published values have no address: {error}") from None


class Store(_store.Store):
    """The store as a dict in which what is missing is None."""

    def __getitem__(self, key: str) -> Any:
        return get_value(key)

    def __delitem__(self, key: str) -> None:
        del_value(key)


store = Store()
