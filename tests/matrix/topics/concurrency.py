"""Tasks and threads. What is expected of the journal is only what was recorded; its order is that of the first run."""

from matrix.probe import Probe

PROBES = [
    Probe(
        "gather",
        """
import asyncio, outside
async def main(url):
    async def work(n): a = await outside.aget(f"{url}/{n}"); return a + await outside.aget(f"{url}/{n}x")
    return await asyncio.gather(*(work(n) for n in "abc"))
""",
        ["aax", "bbx", "ccx"],
        asks=6,
        in_flight=3,
    ),
    Probe(
        "gather_of_external_coroutines",
        """
import asyncio, outside
async def main(url):
    return await asyncio.gather(*(outside.aget(f"{url}/{n}") for n in "abc"))
""",
        ["a", "b", "c"],
        "outside.aget*3",
        asks=3,
        in_flight=3,
    ),
    Probe(
        "task_group",
        """
import asyncio, outside
async def main(url):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outside.aget(f"{url}/{n}")) for n in "ab"]
    return [t.result() for t in tasks]
""",
        ["a", "b"],
        asks=2,
        in_flight=2,
    ),
    Probe(
        "failing_task_group",
        """
import asyncio, outside
async def main(url):
    async def fail(): await outside.aget(url + "/status/404/no")
    seen = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail()); group.create_task(asyncio.sleep(60))
    except* outside.OutsideError as error: seen += [e.status for e in error.exceptions]
    return seen
""",
        [404],
        asks=1,
    ),
    Probe(
        "as_completed_and_wait",
        """
import asyncio, outside
async def main(url):
    async def work(n): return await outside.aget(f"{url}/{n}")
    done = sorted([await f for f in asyncio.as_completed([work("a"), work("b")])])
    finished, pending = await asyncio.wait([asyncio.create_task(work("c")), asyncio.create_task(work("d"))])
    return [done, sorted(t.result() for t in finished), len(pending)]
""",
        [["a", "b"], ["c", "d"], 0],
        asks=4,
        in_flight=2,
    ),
    Probe(
        "wait_for_and_timeout",
        """
import asyncio, outside
async def main(url):
    a = await asyncio.wait_for(outside.aget(url + "/a"), 20)
    seen = [a]
    try: await asyncio.wait_for(asyncio.sleep(60), 0.01)
    except TimeoutError: seen.append("late")
    try:
        async with asyncio.timeout(0.01): await asyncio.Event().wait()
    except TimeoutError: seen.append("later")
    return seen
""",
        ["a", "late", "later"],
        asks=1,
    ),
    Probe(
        "synchronisation_of_tasks",
        """
import asyncio, outside
async def main(url):
    queue, gate, lock, seen = asyncio.Queue(), asyncio.Semaphore(1), asyncio.Lock(), []
    async def make():
        for n in "ab":
            async with gate: await queue.put(await outside.aget(f"{url}/{n}"))
        await queue.put(None)
    async def take():
        while (item := await queue.get()) is not None:
            async with lock: seen.append(item + await outside.aget(f"{url}/{item}2"))
    await asyncio.gather(make(), take())
    return seen
""",
        ["aa2", "bb2"],
        asks=4,
        in_flight=2,
    ),
    Probe(
        "cancellation",
        """
import asyncio, outside
async def main(url):
    seen = []
    async def wait():
        try: await asyncio.sleep(60)
        except asyncio.CancelledError: seen.append(await outside.aget(url + "/cancelled")); raise
    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    try: await task
    except asyncio.CancelledError: seen.append("raised")
    return seen
""",
        ["cancelled", "raised"],
        asks=1,
    ),
    Probe(
        "to_thread",
        """
import asyncio, outside
async def main(url):
    def work(n): return outside.get(f"{url}/{n}")
    return await asyncio.gather(asyncio.to_thread(work, "a"), asyncio.to_thread(outside.get, url + "/b"))
""",
        ["a", "b"],
        asks=2,
        in_flight=2,
    ),
    Probe(
        "run_in_executor",
        """
import asyncio, concurrent.futures, functools, outside
async def main(url):
    loop = asyncio.get_running_loop()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return await asyncio.gather(
            loop.run_in_executor(None, outside.get, url + "/a"),
            loop.run_in_executor(pool, functools.partial(outside.get, url + "/b")),
        )
""",
        ["a", "b"],
        asks=2,
        in_flight=2,
    ),
    Probe(
        "loop_callbacks",
        """
import asyncio, outside
async def main(url):
    loop, done, seen = asyncio.get_running_loop(), asyncio.get_running_loop().create_future(), []
    loop.call_soon(lambda: seen.append(outside.get(url + "/soon")))
    loop.call_later(0.01, lambda: done.set_result(outside.get(url + "/later")))
    return [await done, *seen]
""",
        ["later", "soon"],
        asks=2,
    ),
    Probe(
        "loop_callbacks_to_externals",
        """
import asyncio, outside
async def main(url):
    loop = asyncio.get_running_loop()
    loop.call_soon(outside.get, url + "/soon")
    await asyncio.sleep(0.01)
    task = asyncio.create_task(outside.aget(url + "/t"))
    return await task
""",
        "t",
        "outside.get outside.aget",
        asks=2,
    ),
    Probe(
        "threads",
        """
import threading, outside
def main(url):
    seen, lock = {}, threading.Lock()
    def work(n):
        got = outside.get(f"{url}/{n}")
        with lock: seen[n] = got
    threads = [threading.Thread(target=work, args=(n,)) for n in "ab"]
    for t in threads: t.start()
    for t in threads: t.join()
    return dict(sorted(seen.items()))
""",
        {"a": "a", "b": "b"},
        asks=2,
        in_flight=2,
    ),
    Probe(
        "thread_of_an_external_function",
        """
import threading, outside
def main(url):
    t = threading.Thread(target=outside.get, args=(url + "/t",))
    t.start(); t.join()
    return outside.get(url + "/a")
""",
        "a",
        "outside.get*2",
        asks=2,
    ),
    Probe(
        "thread_pool",
        """
import concurrent.futures as cf, outside
def main(url):
    urls = [f"{url}/{n}" for n in "abc"]
    with cf.ThreadPoolExecutor(2) as pool:
        mapped = list(pool.map(outside.get, urls))
        futures = [pool.submit(outside.get, u) for u in urls]
        own = pool.submit(lambda: outside.get(url + "/own"))
        return [mapped, sorted(f.result() for f in cf.as_completed(futures)), own.result()]
""",
        [["a", "b", "c"], ["a", "b", "c"], "own"],
        asks=7,
        in_flight=3,
    ),
    Probe(
        "synchronisation_of_threads",
        """
import queue, threading, outside
def main(url):
    q, ready, seen = queue.Queue(1), threading.Event(), []
    def make():
        ready.wait()
        for n in "ab": q.put(outside.get(f"{url}/{n}"))
        q.put(None)
    def take():
        while (item := q.get()) is not None: seen.append(item)
    threads = [threading.Thread(target=f) for f in (make, take)]
    for t in threads: t.start()
    ready.set()
    for t in threads: t.join()
    return seen
""",
        ["a", "b"],
        asks=2,
    ),
    Probe(
        "condition_and_semaphore",
        """
import threading, outside
def main(url):
    c, s, seen = threading.Condition(), threading.Semaphore(1), []
    def work(n):
        with s: got = outside.get(f"{url}/{n}")
        with c: seen.append(got); c.notify_all()
    threads = [threading.Thread(target=work, args=(n,)) for n in "ab"]
    for t in threads: t.start()
    with c: c.wait_for(lambda: len(seen) == 2)
    for t in threads: t.join()
    return sorted(seen)
""",
        ["a", "b"],
        asks=2,
    ),
    Probe(
        "exception_in_a_thread",
        """
import concurrent.futures as cf, outside
def main(url):
    with cf.ThreadPoolExecutor(1) as pool:
        f = pool.submit(outside.get, url + "/status/404/no")
        try: f.result()
        except outside.OutsideError as e: return [e.status, type(f.exception()).__name__]
""",
        [404, "OutsideError"],
        asks=1,
    ),
    Probe(
        "sleeping_tasks",
        """
import asyncio, outside
async def main(url):
    seen = []
    async def work(n, s):
        await asyncio.sleep(s)
        seen.append(n)  # before the call: timers fire in their order, answers come as they like
        await outside.aget(f"{url}/{n}")
    await asyncio.gather(work("slow", 0.2), work("fast", 0.01))
    return seen
""",
        ["fast", "slow"],
        asks=2,
        in_flight=2,
    ),
    Probe(
        "nested_loops",
        """
import asyncio, outside
async def inner(url): return await asyncio.gather(outside.aget(url + "/a"), outside.aget(url + "/b"))
def main(url): return [asyncio.run(inner(url)), outside.get(url + "/c"), asyncio.Runner().run(inner(url))]
""",
        [["a", "b"], "c", ["a", "b"]],
        asks=5,
        in_flight=2,
    ),
]
