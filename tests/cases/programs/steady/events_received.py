"""Events reach each subscription once and in order, whatever the session does between them."""

import perdure
from web import get


def main(event):
    url, mine = event["url"], f"data.run == '{perdure.session_id()}'"
    every = perdure.subscribe("hook", mine)
    odd = perdure.subscribe("hook", mine + " && data.n % 2 == 1")
    out = [perdure.next_event(every).n]
    out.append(get(url + "/got"))
    for _ in range(4):
        came = perdure.next_event([odd, every], timeout=30, full=True)
        out.append([came.data.n, came.source, came.event_type])
    perdure.unsubscribe(odd)
    out.append(perdure.next_event(every, timeout=0.01))
    try:
        perdure.next_event(odd)
    except perdure.RequestRefused as refused:
        out.append(refused.code)
    return out


CASE = {
    "result": [
        1,
        "got",
        [1, "hook", "post"],
        [2, "hook", "post"],
        [3, "hook", "post"],
        [3, "hook", "post"],
        None,
        "P0223",
    ],
    "effects": 1,
    "plain": False,
    "waits": True,
    "events": [{"n": 1}, {"n": 2}, {"n": 3}],
}
