"""Results of 200 KB go to the blob store and come back whole; large texts in loops."""

import hashlib

import perdure
from web import get_bytes, post


@perdure.activity
def numbers(count):
    return list(range(count))


def main(event):
    url = event["url"]
    big = get_bytes(url + "/big/200000")
    again = get_bytes(url + "/big/70000")
    echoed = post(url + "/echo", "ab" * 60_000)
    listed = numbers(40_000)
    digest = hashlib.sha256(big + again).hexdigest()
    print(len(big), len(again), len(echoed), digest[:8])
    return [len(big), big[-1], len(echoed), echoed[-2:], sum(listed), post(url + "/digest", digest) == digest]


CASE = {
    "result": [200000, 63, 120000, "ab", 799980000, True],
    "calls": ["activity web.get_bytes"] * 2
    + ["activity web.post", "activity large_values.numbers", "activity web.post"],
    "effects": 4,
}
