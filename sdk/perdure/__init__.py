"""perdure: plain Python handlers that survive crashes, restarts and months of waiting.

Everything here also works in a plain script, without perdure running: marks are kept and calls just run.
The names are loaded when they are first used, so that `import perdure` costs next to nothing.
"""

from perdure._version import __version__

TYPE_CHECKING = False  # type checkers know the name; importing it from typing would be most of our import time
if TYPE_CHECKING:
    from perdure._activity import ActivityOptions, activity, inhibit_activities, no_activity, register_no_activity
    from perdure._calls import Signal, activity_key, is_replaying, next_signal, session_id, sleep, version
    from perdure._children import ChildFailed, ChildOutcome, await_children, signal, start, wait
    from perdure._errors import (
        ActivityInterrupted,
        ActivityTimeout,
        Cancelled,
        ConcurrencyError,
        Error,
        InPlaceChange,
        NotInSession,
        PayloadCorrupt,
        RequestRefused,
        UnrecordableValue,
        ValueTooLarge,
    )
    from perdure._event import AttrDict, Event
    from perdure._events import anext_event, anext_signal, next_event, subscribe, unsubscribe
    from perdure._handle import HandleLost, handle, register_handle
    from perdure._outcomes import http_outcome, outcome, status
    from perdure._retry import RetryPolicy
    from perdure._store import (
        Op,
        Versioned,
        add_values,
        check_and_set_value,
        del_value,
        get_store_public_url,
        get_value,
        list_values_keys,
        mutate_value,
        publish_value,
        set_value,
        store,
        unpublish_value,
    )

_HOMES = {
    "_activity": ("ActivityOptions", "activity", "inhibit_activities", "no_activity", "register_no_activity"),
    "_calls": ("Signal", "activity_key", "is_replaying", "next_signal", "session_id", "sleep", "version"),
    "_children": ("ChildFailed", "ChildOutcome", "await_children", "signal", "start", "wait"),
    "_errors": (
        "ActivityInterrupted",
        "ActivityTimeout",
        "Cancelled",
        "ConcurrencyError",
        "Error",
        "InPlaceChange",
        "NotInSession",
        "PayloadCorrupt",
        "RequestRefused",
        "UnrecordableValue",
        "ValueTooLarge",
    ),
    "_event": ("AttrDict", "Event"),
    "_events": ("anext_event", "anext_signal", "next_event", "subscribe", "unsubscribe"),
    "_handle": ("HandleLost", "handle", "register_handle"),
    "_outcomes": ("http_outcome", "outcome", "status"),
    "_retry": ("RetryPolicy",),
    "_store": (
        "Op",
        "Versioned",
        "add_values",
        "check_and_set_value",
        "del_value",
        "get_store_public_url",
        "get_value",
        "list_values_keys",
        "mutate_value",
        "publish_value",
        "set_value",
        "store",
        "unpublish_value",
    ),
}

__all__ = [
    "ActivityInterrupted",
    "ActivityOptions",
    "ActivityTimeout",
    "AttrDict",
    "Cancelled",
    "ChildFailed",
    "ChildOutcome",
    "ConcurrencyError",
    "Error",
    "Event",
    "HandleLost",
    "InPlaceChange",
    "NotInSession",
    "Op",
    "PayloadCorrupt",
    "RequestRefused",
    "RetryPolicy",
    "Signal",
    "UnrecordableValue",
    "ValueTooLarge",
    "Versioned",
    "__version__",
    "activity",
    "activity_key",
    "add_values",
    "anext_event",
    "anext_signal",
    "await_children",
    "check_and_set_value",
    "del_value",
    "get_store_public_url",
    "get_value",
    "handle",
    "http_outcome",
    "inhibit_activities",
    "is_replaying",
    "list_values_keys",
    "mutate_value",
    "next_event",
    "next_signal",
    "no_activity",
    "outcome",
    "publish_value",
    "register_handle",
    "register_no_activity",
    "session_id",
    "set_value",
    "signal",
    "sleep",
    "start",
    "status",
    "store",
    "subscribe",
    "unpublish_value",
    "unsubscribe",
    "version",
    "wait",
]


def __getattr__(name: str) -> object:
    """Load the module that a public name lives in, and keep the name here from then on."""
    for home, names in _HOMES.items():
        if name in names:
            module = __import__(f"perdure.{home}", fromlist=names)
            value = getattr(module, name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
