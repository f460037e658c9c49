"""What a manifest says about connections: named credentials for a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from perdure_server.manifest.plain import of_json
from perdure_server.manifest.variables import Variable


@dataclass(frozen=True, slots=True)
class Connection:
    """Sessions see each of `vars` as `<name>__<variable>`; most are set apart, by `perdure connections add`."""

    name: str
    integration: str
    vars: tuple[Variable, ...] = ()
    line: int = 0
    column: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the values of what is secret."""
        data = asdict(self)
        for variable in data["vars"]:
            if variable["secret"]:
                variable["value"] = None
        return data

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Connection:
        """From what `to_json` made."""
        return of_json(cls, data)
