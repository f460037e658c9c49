"""An httpx.Client, kept across a sleep."""

import time

import httpx


def main(event):
    client = httpx.Client(base_url=event["url"], trust_env=False)
    before = client.get("/one").text
    time.sleep(0.01)
    after = client.post("/echo", content="sent").text
    client.close()
    return [before, after, isinstance(client, httpx.Client), client.is_closed]


CASE = {"result": ["one", "sent", True, True], "effects": 2, "heavy": True, "waits": True}
