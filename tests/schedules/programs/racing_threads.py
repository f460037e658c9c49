"""Threads that lose updates, append in any order, start threads of their own."""

import threading

from outside import work


def main(event):
    shared, order, lock = {"n": 0}, [], threading.Lock()

    def worker(k):
        for j in range(4):
            n = shared["n"]
            value = work(k * 7)
            shared["n"] = n + 1
            order.append([k, j, value])
            with lock:
                shared.setdefault("first", k)
            if j == 2:
                child = threading.Thread(target=lambda: order.append(["child", k, work(0)]))
                child.start()
                child.join()

    threads = [threading.Thread(target=worker, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [shared, order]
