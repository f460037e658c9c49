"""Activities use the store, too, also several at a time; what they do there is a part of them."""

from concurrent.futures import ThreadPoolExecutor

import perdure


@perdure.activity
def keep(number):
    key = f"{perdure.session_id()} {number}"
    perdure.set_value(key, number)
    perdure.set_value(key, perdure.get_value(key) * 2)
    return perdure.get_value(key)


def main(event):
    with ThreadPoolExecutor(3) as pool:
        doubled = list(pool.map(keep, range(6)))
    return [doubled, len(perdure.list_values_keys(perdure.session_id() + " "))]


CASE = {"result": [[0, 2, 4, 6, 8, 10], 6], "in_flight": 3, "plain": False}
