"""activity_key() is the same in every attempt of a call and differs between calls."""

import perdure
from web import request


@perdure.activity(retry=perdure.RetryPolicy(max_attempts=4, initial_delay=0.01, jitter=0))
def pay(url):
    return request("POST" if "fail" not in url else "GET", url, headers={"Idempotency-Key": perdure.activity_key()}).decode()


def main(event):
    url = event["url"]
    pay(url + "/first")
    pay(url + "/second")
    return pay(url + "/fail/1/third")


CASE = {"plain": False, "result": "third", "keys": 3, "calls": ["activity idempotency_key.pay"] * 3, "effects": 4}
