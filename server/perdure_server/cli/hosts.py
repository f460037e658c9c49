"""`perdure hosts`: the group."""

from __future__ import annotations

from perdure_server.cli.main import Lazy, LazyGroup

hosts = LazyGroup(
    {
        "list": Lazy("pool", "list_hosts", "List the hosts of a coordinator, and how they are."),
        "show": Lazy("pool", "show", "Show one host, its sessions and how their runners are."),
        "invite": Lazy("inviting", "invite", "Print a join token for a host of another machine."),
        "revoke": Lazy("inviting", "revoke", "Let a host that joined in no more."),
        "drain": Lazy("pool", "drain", "Place nothing on a host any more; it ends when it is empty."),
    },
    name="hosts",
    help="Look at the hosts that run sessions, invite and empty them.",
)
