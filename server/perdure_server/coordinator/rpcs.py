"""The rpcs of control.proto, and the methods of `Control` that serve them."""

from __future__ import annotations

import re
from typing import Final

from perdure_proto.v1 import control_pb2

SERVICE: Final = control_pb2.DESCRIPTOR.services_by_name["Control"]

_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


def method_of(rpc: str) -> str:
    """The name of the method of `Control` that serves an rpc: `start_session` for `StartSession`."""
    return _CAPITAL.sub("_", rpc).lower()
