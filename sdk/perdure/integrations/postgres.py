"""PostgreSQL."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, given, vendor


@activity
def postgres_client(connection: str, **options: Any) -> Any:
    """A `psycopg.Connection`. It reads `url` (postgresql://...) and `password`, where the address has none.

    Raises ConnectionInitError where there is no address. `options` go to `psycopg.connect`. A transaction that was
    open when a runner died was rolled back with it: then the connection raises perdure.HandleLost.
    """
    values = Connection(connection, "postgres")
    psycopg = vendor("psycopg", "psycopg[binary]")
    return psycopg.connect(values.need("url", "dsn"), **given(password=values.get("password")) | options)
