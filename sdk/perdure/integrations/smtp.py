"""Mail."""

import smtplib
import ssl

from perdure._activity import activity
from perdure.integrations._connection import Connection

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


@activity
def smtp_client(connection: str, *, timeout: float = 30.0) -> smtplib.SMTP:
    """An `smtplib.SMTP` that is connected and signed in: `with smtp_client("mail") as smtp: smtp.send_message(m)`.

    It reads `host`, `port`, `security` (starttls, tls or none), `username` and `password`. Raises ConnectionInitError
    where there is no host, ValueError for another security, and what smtplib raises. `timeout` is in seconds.
    """
    values = Connection(connection, "smtp")
    host, security = values.need("host"), values.get("security", default="starttls")
    if security not in _PORTS:
        raise ValueError(f"{connection}__security is one of {', '.join(_PORTS)}, not {security!r}")
    port = int(values.get("port", default=str(_PORTS[security])))
    smtp: smtplib.SMTP
    if security == "tls":
        smtp = smtplib.SMTP_SSL(host, port, timeout=timeout, context=ssl.create_default_context())
    else:
        smtp = smtplib.SMTP(host, port, timeout=timeout)
    try:
        if security == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        if username := values.get("username"):
            smtp.login(username, values.need("password"))
    except BaseException:
        smtp.close()
        raise
    return smtp
