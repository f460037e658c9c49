"""Lines and records in the name of another session."""

import json

from probing import frame, say, verdict


def main(event):
    names = {"session_id": event["victim"], "session": event["victim"], "epoch": 1, "id": event["victim"]}
    line = {"t": "log", "no": 1, "o": 0, "i": 1 << 40, "s": 1, "at": 1, "x": "FORGED"}
    say(frame(json.dumps(names | line)))
    return verdict([])
