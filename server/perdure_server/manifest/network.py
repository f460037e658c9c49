"""The key `network`: what sessions of a project may reach."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from perdure_proto.v1 import runner_pb2
from yaml.nodes import MappingNode, Node, SequenceNode

from perdure_server.manifest.nodes import Reader
from perdure_server.manifest.shapes import Shape, any_of

Mode = Literal["none", "all", "hosts"]

MAX_HOSTS: Final = 1_000
_FORM: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\s]+)(?::(?P<port>[0-9]{1,5}))?")
_NAME: Final = re.compile(r"(?:\*\.)?(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
_HELP: Final = "write NAME, *.NAME, an address or [an IPv6 address], each with :PORT or without"
_PROTO: Final[Mapping[str, runner_pb2.NetworkMode.ValueType]] = {
    "none": runner_pb2.NETWORK_MODE_NONE,
    "all": runner_pb2.NETWORK_MODE_ALL,
    "hosts": runner_pb2.NETWORK_MODE_HOSTS,
}


@dataclass(frozen=True, slots=True)
class Network:
    """`mode` empty: the manifest does not say, so the coordinator's default counts. `hosts` are lower-case."""

    mode: Mode | Literal[""] = ""
    hosts: tuple[str, ...] = ()

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Network:
        """From what `dataclasses.asdict` made of one."""
        return cls(data.get("mode", ""), tuple(data.get("hosts", ())))

    def to_proto(self, default: Mode) -> runner_pb2.Network:
        """What a runner's host has to hold."""
        return runner_pb2.Network(mode=_PROTO[self.mode or default], hosts=self.hosts)


def _network(reader: Reader, node: Node, _: str) -> Network:
    """`network: none`, `network: all`, or a list of hosts."""
    if isinstance(node, MappingNode):
        reader.add("P0103", node, "network must be none, all or a list of hosts, not a mapping")
        return Network()
    if not isinstance(node, SequenceNode):
        match reader.text(node, "network"):
            case "none":
                return Network("none")
            case "all":
                return Network("all")
            case str(text):
                reader.add("P0103", node, f"network must be none, all or a list of hosts, not {text!r}")
        return Network()
    if len(node.value) > MAX_HOSTS:
        reader.add("P0103", node, f"network has more than {MAX_HOSTS} hosts")
        return Network()
    texts = [(item, reader.text(item, "each of network")) for item in node.value]
    return Network("hosts", tuple(_host(reader, item, text) for item, text in texts if text is not None))


def _host(reader: Reader, node: Node, text: str) -> str:
    found = _FORM.fullmatch(text)
    if found is None or not _is_host(found["host"]) or not 0 < int(found["port"] or 443) < 65536:
        reader.add("P0103", node, f"{text!r} is no host", _HELP)
    return text.lower()


def _is_host(text: str) -> bool:
    """A name, its wildcard, or an address: anything of digits and dots only has to be a whole one."""
    if text.startswith("[") or not text.strip("0123456789."):
        try:
            ipaddress.ip_address(text.strip("[]"))
        except ValueError:
            return False
        return True
    return len(text) <= 253 and _NAME.fullmatch(text) is not None


NETWORK: Final = Shape(
    _network,
    any_of({"type": "string", "enum": ["none", "all"]}, {"type": "array", "items": {"type": "string"}}),
)
