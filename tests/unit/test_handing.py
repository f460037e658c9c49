"""What handlers are called with."""

from __future__ import annotations

import json

from perdure_runner.child.handing import EventForm, arguments

BY_HAND = json.dumps({"data": {"body": {"bytes": "bWVvdw=="}}})


def test_a_body_is_bytes_for_handlers_of_autokitteh_whoever_made_the_event() -> None:
    def of(form: EventForm) -> object:
        (event,), _ = arguments(lambda event: None, {"form": form, "event": BY_HAND}, "s")
        return event.data.body.bytes

    assert of(EventForm.AUTOKITTEH) == b"meow"
    assert of(EventForm.EVENT) == "bWVvdw=="
