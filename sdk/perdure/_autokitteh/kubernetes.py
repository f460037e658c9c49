"""Kubernetes."""

import json
from typing import Any

from perdure.integrations._connection import Connection, vendor

from .errors import ConnectionInitError

__all__ = ["kubernetes_client"]


def kubernetes_client(connection: str) -> Any:
    """The module `kubernetes.client`, set up for the cluster that the connection's `config_file` (JSON) tells of.

    That is done in this process, again after each restart, and recorded nowhere. Raises ConnectionInitError.
    """
    values = Connection(connection, "kubernetes")
    config = vendor("kubernetes.config", "kubernetes")
    try:
        config.load_kube_config_from_dict(json.loads(values.need("config_file")))
    except (ValueError, config.ConfigException) as error:
        raise ConnectionInitError(f"connection {connection!r}: {connection}__config_file is wrong: {error}") from error
    return vendor("kubernetes.client", "kubernetes")
