# fmt: off
"""The texts of schema/queries_connections.py for SQLite. Made by schema/generate.py."""

from typing import Final

# a connection, new or changed; its slug stays
PUT_CONNECTION: Final = (
    "INSERT INTO connections (project, name, integration, slug, set_us) VALUES (:project, :name, "
    ":integration, :slug, :set_us) ON CONFLICT (project, name) DO UPDATE SET integration = "
    "excluded.integration, set_us = excluded.set_us"
)

# one connection
CONNECTION: Final = (
    "SELECT connections.project, connections.name, connections.integration, connections.slug, "
    "connections.set_us FROM connections WHERE connections.project = :project AND connections.name = :name"
)

# the connection that a service calls by this URL
CONNECTION_BY_SLUG: Final = (
    "SELECT connections.project, connections.name, connections.integration, connections.slug, "
    "connections.set_us FROM connections WHERE connections.slug = :slug"
)

# a project's connections
CONNECTIONS: Final = (
    "SELECT connections.project, connections.name, connections.integration, connections.slug, "
    "connections.set_us FROM connections WHERE connections.project = :project ORDER BY connections.name"
)

# a connection is removed
DELETE_CONNECTION: Final = "DELETE FROM connections WHERE connections.project = :project AND connections.name = :name"
