"""Signals to a session of another project, news of its end, its events, and answers in its name."""

from perdure import RequestRefused, _runtime
from probing import verdict


def main(event):
    victim = event["victim"]
    done = []
    for operation, body in (
        ("session.signal", {"session_id": victim, "name": "stop", "payload": 1}),
        ("session.signal", {"session_id": victim, "name": victim, "payload": 1}),
        ("session.watch", {"session_ids": [victim]}),
        ("signal.next", {"session_id": victim, "names": ["stop"], "timeout": -1}),
        ("event.next", {"session_id": victim, "subscriptions": ["main.1"], "timeout": 0}),
        ("outcome", {"event_id": victim, "value": 1}),
        ("connection.token", {"connection": "team", "project": "victim"}),
    ):
        try:
            _runtime.current.request(operation, body)
        except RequestRefused:
            continue
        done.append(operation)
    return verdict(done)
