"""Redis."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, given, vendor


@activity
def redis_client(connection: str, **options: Any) -> Any:
    """A `redis.Redis`. It reads `url` (redis://...) and `password`, where the address has none.

    Raises ConnectionInitError where there is no address. `options` go to `Redis.from_url`. It does not connect yet.
    """
    values = Connection(connection, "redis")
    redis = vendor("redis", "redis")
    return redis.Redis.from_url(values.need("url"), **given(password=values.get("password")) | options)
