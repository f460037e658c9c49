"""A class of the project's own whose objects are live: made again by a function that the project names."""

import time

import perdure
import web


def reopen(url, name):
    made = object.__new__(Queue)
    made.url, made.name, made.opened = url, name, "again"
    return made


@perdure.handle(recreate=reopen, cheap=["label"])
class Queue:
    def __init__(self, url, name):
        self.url, self.name, self.opened = url, name, "first"
        web.get(f"{url}/open/{name}")

    def put(self, item):
        return web.get(f"{self.url}/put/{item}")

    def label(self):
        return self.name.upper()

    @property
    def where(self):
        return self.name + "@" + str(len(self.url) > 0)

    def __len__(self):
        return len(self.name)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        web.get(f"{self.url}/leave/{self.name}")


def main(event):
    queue = Queue(event["url"], "orders")
    one = queue.put("one")
    time.sleep(0.01)
    with queue as same:
        two = queue.put("two")
    return [one, two, same is queue, queue.label(), queue.where, len(queue), isinstance(queue, Queue)]


CASE = {
    "result": ["one", "two", True, "ORDERS", "orders@True", 6, True],
    "effects": 4,
    "waits": True,
}
