"""External calls in several asyncio tasks at once cannot be recorded yet."""

import asyncio
import sys


async def main(event):
    sys.path.append(event["lib"])
    import outside

    return await asyncio.gather(*(outside.aget(f"{event['url']}/{i}") for i in range(3)))


CASE = {"error": "ConcurrencyError", "code": "P0404", "says": "task"}
