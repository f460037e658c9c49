"""A connection as handler code sees it: values in the environment, named NAME__KEY."""

import os
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from perdure._errors import Error

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class ConnectionInitError(Error):
    """A connection lacks a value without which its client cannot be made."""

    __module__ = "perdure.integrations"
    code = "P0230"


class Connection:
    """The values of one connection. Each is looked up when it is asked for, so that refreshed ones are seen."""

    def __init__(self, name: str, integration: str = "generic") -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"a connection is named by letters, digits and '_', not {name!r}")
        self.name = name
        self.integration = integration

    def get(self, key: str, *other_names: str, default: str = "") -> str:
        """The value of `key`, or of the first of its other names that has one; else `default`."""
        for each in (key, *other_names):
            if value := os.environ.get(f"{self.name}__{each}"):
                return value
        return default

    def need(self, key: str, *other_names: str) -> str:
        """As `get`. Raises ConnectionInitError, naming the variable and the remedy, where there is no value."""
        if value := self.get(key, *other_names):
            return value
        raise self.lacks(key)

    def lacks(self, *keys: str) -> ConnectionInitError:
        """The error that the connection has no value for any of `keys`."""
        variables = " or ".join(f"{self.name}__{key}" for key in keys)
        return ConnectionInitError(
            f"connection {self.name!r} is not set up: {variables} has no value",
            help=f"perdure connections add {self.integration} {self.name} --set {keys[0]}=@FILE",
        )

    def keys(self) -> list[str]:
        """Names of the values that it has, sorted."""
        return sorted(self)

    def __iter__(self) -> Iterator[str]:
        prefix = f"{self.name}__"
        return (name.removeprefix(prefix) for name in os.environ if name.startswith(prefix))

    def __repr__(self) -> str:
        return f"<connection {self.name!r} to {self.integration}>"


def connection(name: str) -> Connection:
    """The values of connection `name`, for services that have no client here."""
    return Connection(name)


def vendor(module: str, package: str) -> Any:
    """A module of a vendor's library. Raises ModuleNotFoundError that names the package which brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise  # it is there, and lacks something itself
        message = f"this client needs the package {package}: add it to your project's requirements"
        raise ModuleNotFoundError(message, name=error.name) from None


def given(**options: Any) -> dict[str, Any]:
    """The options that have a value."""
    return {name: value for name, value in options.items() if value not in ("", None)}
