"""Questions past the journal that no runner of ours asks: numbers, names and bodies that are none."""

import json

from probing import frame, say, wait_for_the_host

DEEP = b"[" * 100_000


def main(event):
    say(*(frame(json.dumps({"t": "ask", "id": number, "op": "store.get"}), DEEP) for number in range(1, 200)))
    say(frame('{"t":"ask","id":1,"op":"\\u0000","epoch":7,"session_id":"victim"}', b"{}"))
    return wait_for_the_host()
