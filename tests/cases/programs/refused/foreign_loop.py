"""External calls in several tasks of an event loop that is not perdure's cannot be recorded."""

import asyncio
import sys


def main(event):
    sys.path.append(event["lib"])
    import outside

    async def all_three():
        return await asyncio.gather(*(outside.aget(f"{event['url']}/{i}") for i in range(3)))

    loop = asyncio.SelectorEventLoop()
    try:
        return loop.run_until_complete(all_three())
    finally:
        loop.close()


CASE = {"error": "ConcurrencyError", "code": "P0404", "says": "asyncio.run()"}
