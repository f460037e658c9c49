"""Amazon Web Services."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, given, vendor


@activity
def boto3_client(connection: str, service: str, region: str = "", **options: Any) -> Any:
    """The boto3 client of a service. It reads `access_key_id`, `secret_key`, `session_token`, `region`, `base_url`.

    Raises ConnectionInitError where there is no key, ValueError without a service. `options` go to `boto3.client`.
    """
    values = Connection(connection, "aws")
    if not service:
        raise ValueError('boto3_client: name a service, such as "s3"')
    options = (
        given(
            region_name=region or values.get("region", "Region"),
            endpoint_url=values.get("base_url"),
            aws_access_key_id=values.need("access_key_id", "AccessKeyID"),
            aws_secret_access_key=values.need("secret_key", "SecretKey"),
            aws_session_token=values.get("session_token", "Token"),
        )
        | options
    )
    return vendor("boto3", "boto3").client(service, **options)
