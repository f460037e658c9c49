"""Threads of user code, with a lock, a condition, an event and a queue between them."""

import queue
import threading

from web import get


def main(event):
    url, lock, out = event["url"], threading.Lock(), []
    ready = threading.Event()

    def work(name):
        ready.wait()
        text = get(f"{url}/{name}")
        with lock:
            out.append(text)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    ready.set()
    for thread in threads:
        thread.join()
    jobs, results, changed = queue.Queue(1), [], threading.Condition()

    def consume():
        while (job := jobs.get()) is not None:
            text = get(f"{url}/job{job}")
            with changed:
                results.append(text)
                changed.notify()

    consumer = threading.Thread(target=consume)
    consumer.start()
    for job in range(3):
        jobs.put(job)
    with changed:
        changed.wait_for(lambda: len(results) == 3)
    jobs.put(None)
    consumer.join()
    try:
        jobs.get(timeout=0.1)
    except queue.Empty:
        print("empty")
    return [sorted(out), results, consumer.is_alive()]


CASE = {
    "result": [["a", "b", "c"], ["job0", "job1", "job2"], False],
    "prints": ["empty"],
    "effects": 6,
    "in_flight": 3,
    "waits": True,
}
