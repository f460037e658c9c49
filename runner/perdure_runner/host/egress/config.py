"""What the way out of one session may take of its host."""

from dataclasses import dataclass

from perdure_runner.host.egress.rules import Range

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class EgressConfig:
    """An operator's settings. `private`: addresses of internal services, which projects may list like public ones."""

    private: tuple[Range, ...] = ()
    head_bytes: int = 16 << 10  # of a request, up to its body
    head_s: float = 10.0  # for it to come
    connections: int = 64  # at once
    connect_s: float = 15.0  # for a name to be resolved and a connection to be made
    idle_s: float = 300.0  # without a byte either way
    bytes_total: int = 16 << 30  # that all connections of one runner may pass on, both ways
    chunk_bytes: int = 64 << 10  # passed on at once
