"""Where sessions may connect to: names as the project lists them, addresses as the operator allows. Pure."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Range = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS: Final = frozenset({80, 443})
_PATTERN: Final = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^:]+)(?::(?P<port>[0-9]+))?")
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")

# What is not the public internet (IANA's registries of special-purpose addresses; `is_global` of the standard library
# changes with its version), and one public address that is a provider's metadata service for the machine that asks.
_SPECIAL: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
_PUBLIC_IPV6: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def ranges(text: str) -> tuple[Range, ...]:
    """From "10.1.0.0/16,fd00::/64"; an address alone is a range of one. Raises ValueError."""
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())


def plain_host(text: str) -> str | None:
    """A host's name or address in the one form that is compared: lower case, no final dot, no brackets.

    None if it is neither.
    """
    host = text.lower().removesuffix(".")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if (address := _address(host)) is not None:
        return str(address)
    return host if len(host) <= 253 and _NAME.fullmatch(host) else None


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of a project's list. `suffix` ".example.com" stands for all names below example.com."""

    host: str = ""
    suffix: str = ""
    ports: frozenset[int] = DEFAULT_PORTS

    @classmethod
    def of(cls, text: str) -> "Rule | None":
        """From "api.example.com", "*.example.com:8443", "192.0.2.1" or "[2001:db8::1]:80"; None if it is none."""
        found = _PATTERN.fullmatch(text.lower())
        if found is None:
            return None
        name = found["host"]
        host = plain_host(name.removeprefix("*."))
        if host is None:
            return None
        ports = frozenset({int(found["port"])}) if found["port"] else DEFAULT_PORTS
        return cls(suffix=f".{host}", ports=ports) if name.startswith("*.") else cls(host, ports=ports)

    def permits(self, host: str, port: int) -> bool:
        named = host.endswith(self.suffix) if self.suffix else host == self.host
        return named and port in self.ports


@dataclass(frozen=True, slots=True)
class Rules:
    """A project's list of hosts, and the operator's exceptions from what is never reached."""

    rules: tuple[Rule, ...]
    private: tuple[Range, ...] = ()  # addresses of internal services that sessions may reach

    @classmethod
    def of(cls, hosts: Iterable[str], private: Iterable[Range] = ()) -> "Rules":
        """An entry that is none permits nothing."""
        return cls(tuple(rule for text in hosts if (rule := Rule.of(text)) is not None), tuple(private))

    def permits(self, host: str, port: int) -> bool:
        """Is this host, in plain form, on the list with this port?"""
        return any(rule.permits(host, port) for rule in self.rules)

    def reaches(self, address: Address) -> bool:
        """May a connection go to this address, whatever name led to it?"""
        address = _inner(address)
        if _within(address, self.private):
            return True
        return (address.version == 4 or address in _PUBLIC_IPV6) and not _within(address, _SPECIAL)


def _within(address: Address, ranges: Iterable[Range]) -> bool:
    return any(address in each for each in ranges if each.version == address.version)


def _inner(address: Address) -> Address:
    """The address that a packet to `address` ends up at, when it is an IPv4 address in another's clothes."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
