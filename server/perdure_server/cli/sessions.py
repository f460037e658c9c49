"""`perdure sessions`: the group."""

from __future__ import annotations

from perdure_server.cli.main import Lazy, LazyGroup

sessions = LazyGroup(
    {
        "list": Lazy("look", "list_sessions", "List sessions, newest first."),
        "show": Lazy("look", "show", "Show one session: state, calls, output, error."),
        "history": Lazy("look", "history", "Show the rows of a session's journal."),
        "logs": Lazy("look", "logs", "Show what a session printed and logged."),
        "watch": Lazy("look", "watch", "Follow a session as it runs."),
        "stop": Lazy("steer", "stop", "Stop a session, politely first."),
        "signal": Lazy("steer", "signal", "Send a signal, or wake a session from its sleep."),
        "fork": Lazy("steer", "fork", "Begin a new session that shares a session's history."),
        "replay": Lazy("replay", "replay", "Replay a session, read-only, on its own or another build."),
        "export": Lazy("parcels", "export", "Write a session to a file."),
        "import": Lazy("parcels", "import_", "Take a session from a file, to look at and replay it."),
    },
    name="sessions",
    help="Look at sessions, steer and replay them.",
)
