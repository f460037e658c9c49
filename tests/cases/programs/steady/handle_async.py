"""async with and async for over live objects."""

import httpx
import perdure


@perdure.activity
async def numbers(count):
    for number in range(count):
        yield number


async def main(event):
    async with httpx.AsyncClient(base_url=event["url"], trust_env=False) as client:
        texts = [(await client.get("/" + name)).text for name in ("one", "two")]
    return [texts, isinstance(client, httpx.AsyncClient)]


CASE = {"result": [["one", "two"], True], "effects": 2, "heavy": True}
