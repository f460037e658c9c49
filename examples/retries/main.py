"""A service that is not up yet, one that fails twice, and a payment that must not be made twice.

The policy of `requests.get` is in perdure.yaml; that of `charge` is in its decorator.
"""

import socket
import subprocess
import sys
from pathlib import Path

import perdure
import requests


class Overloaded(Exception):
    def __init__(self, status, after):
        super().__init__(f"HTTP {status}, try again in {after} s")
        self.status = status


@perdure.activity
def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@perdure.activity
def start_service(port: int) -> None:
    """It opens its port a moment later: the first calls find nobody there."""
    subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("service.py")), str(port)],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


@perdure.activity(retry=perdure.RetryPolicy(max_attempts=4, initial_delay=0.05, jitter=0, retry_on=(Overloaded,)), timeout=5)
def charge(url: str, amount: int) -> str:
    answer = requests.post(f"{url}/charges", json={"amount": amount, "key": perdure.activity_key()})
    if answer.status_code == 503:
        raise Overloaded(503, 0.05)
    return answer.json()["charge"]


def main(event):
    url = f"http://127.0.0.1:{a_free_port()}"
    start_service(int(url.rpartition(":")[2]))
    stock = requests.get(f"{url}/stock").json()
    print(f"{stock['tea']} packets of tea in stock")
    first, second = charge(url, 7), charge(url, 9)
    print(f"charged: {first}, {second}")
    return {"stock": stock, "charges": [first, second]}
