"""Producers and consumers on a bounded queue, with a condition, a semaphore and time-outs."""

import queue
import threading

from outside import work


def main(event):
    jobs, out, done, two = queue.Queue(2), [], [], threading.Semaphore(2)
    changed = threading.Condition()

    def produce(k):
        for j in range(3):
            jobs.put((k, work(k * 14 + j)))
        done.append(k)

    def consume(k):
        while True:
            try:
                job = jobs.get(timeout=0.05)
            except queue.Empty:
                if len(done) == 2:  # else a producer, which may be slow, would find nobody who takes what it has
                    return
                continue
            with two:
                work(0)
            with changed:
                out.append([k, list(job)])
                changed.notify_all()

    threads = [threading.Thread(target=f, args=(k,)) for k in range(2) for f in (produce, consume)]
    for thread in threads:
        thread.start()
    with changed:
        early = changed.wait_for(lambda: len(out) >= 2, timeout=5)
    for thread in threads:
        thread.join()
    return [early, out]
