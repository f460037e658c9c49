"""A task group: all succeed; one fails, and the others are cancelled."""

import asyncio

from aweb import fetch


async def main(event):
    url = event["url"]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(f"{url}/{name}")) for name in "abc"]
    got = [task.result() for task in tasks]
    failures = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fetch(f"{url}/slow/20/never"))
            group.create_task(fetch(f"{url}/status/500/broken"))
    except* ValueError as caught:
        failures += [str(error) for error in caught.exceptions]
    return [got, failures]


CASE = {"result": [["a", "b", "c"], ["broken"]], "effects": 5, "in_flight": 3}
