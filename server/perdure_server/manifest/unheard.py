"""Triggers that no service's webhooks ever start: found at deploy, because else nobody would be told."""

from __future__ import annotations

from collections.abc import Iterator

from perdure_server.core.errors import PerdureError
from perdure_server.core.integrations import known, of_manifest
from perdure_server.core.receiving import DISCORD_TYPES
from perdure_server.manifest.manifest import Manifest


def unheard(manifest: Manifest) -> Iterator[PerdureError]:
    """A warning (P0230) for each trigger that takes events of a service which sends none of the kind here."""
    of = {connection.name: connection.integration for connection in manifest.connections}
    for trigger in manifest.triggers:
        integration = of.get(trigger.connection, "generic")
        entry, wanted = of_manifest(integration), trigger.event_type
        kept_open = entry.name == "discord" and wanted and wanted not in DISCORD_TYPES.values()
        heard = known(integration) is not None and entry.signing and not kept_open
        if trigger.type != "connection" or heard:
            continue
        named = f" --type {wanted}" if wanted else ""
        yield PerdureError(
            "P0230",
            f"trigger {trigger.name} waits for events of {trigger.connection}: {integration} sends perdure none"
            + (f" of type {wanted}" if kept_open else ""),
            help=f"ask for what is new in a schedule, or bring them: perdure events send {trigger.connection}{named}",
        )
