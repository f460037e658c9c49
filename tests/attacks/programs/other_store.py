"""The key-value store of another project, asked for in every way that a request could name it."""

import json

from perdure import RequestRefused, _runtime
from probing import canaries, verdict

NAMED = ({"project": "victim"}, {"project_id": "victim"}, {"shelf": "victim"}, {"session_id": "victim"})
KEYS = ("kept", "victim/kept", "victim:kept", "../victim/kept", "victim\0kept", "%", "")


def asked(operation, body):
    """The answer, or why there is none."""
    try:
        return _runtime.current.request(operation, body)
    except RequestRefused as error:
        return str(error)


def main(event):
    seen = []
    for more in ({}, *NAMED):
        for key in KEYS:
            body = {"key": key, "versioned": True} | more
            seen += [asked("store.get", body), asked("store.add", body | {"operand": ""})]
            seen.append(asked("store.check_and_set", body | {"expected": 1, "value": 2}))
            seen.append(asked("store.publish", body))
        seen += [asked("store.list", {"prefix": prefix} | more) for prefix in ("", "victim", "\0")]
    return verdict(canaries(json.dumps(seen).encode()))
