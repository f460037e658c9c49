"""Values of the store are changed once by each call, and code that changes them goes on from what it got."""

import perdure
from web import get


def main(event):
    url, mine = event["url"], perdure.session_id()
    out = [perdure.get_value(mine), perdure.set_value(mine, 1) > 0]
    for _ in range(3):
        perdure.add_values(mine, 2)
    out.append(get(url + f"/after/{perdure.get_value(mine)}"))
    out.append(perdure.check_and_set_value(mine, 7, 70))
    out.append(perdure.check_and_set_value(mine, 7, 71))
    try:
        perdure.set_value(mine, 0, version=1)
    except perdure.RequestRefused as refused:
        out.append(refused.code)
    out.append(perdure.get_value(mine))
    perdure.del_value(mine)
    out.append(mine in perdure.store)
    return out


CASE = {
    "result": [None, True, "7", True, False, "P0227", 70, False],
    "effects": 1,
    "plain": False,
}
