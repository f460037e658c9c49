"""The outside world for async programs: requests that really wait without blocking."""

import asyncio
from urllib.parse import urlsplit

import perdure


@perdure.activity
async def fetch(url):
    """GET, as text."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {parts.path} HTTP/1.0\r\n\r\n".encode())
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, text = answer.decode().partition("\r\n\r\n")
    if " 200 " not in head.splitlines()[0]:
        raise ValueError(text)
    return text
