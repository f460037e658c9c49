"""Control flow that depends on random numbers and on the clock takes the same way again."""

import random
import time

from web import get


def main(event):
    url, path = event["url"], []
    for step in range(6):
        if random.random() < 0.5:
            path.append(get(f"{url}/heads{step}"))
        elif time.time_ns() % 2:
            path.append(get(f"{url}/odd{step}"))
        else:
            path.append("nothing")
            print("step", step, "did nothing")
    print(path)
    return path


CASE = {"check": "prints[-1] == str(result) and len(prints) == 1 + result.count('nothing')"}
