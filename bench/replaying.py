"""How fast a long history is gone through again."""

import asyncio
import json
import time

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1.runner_pb2 import DoneState

from bench import client
from bench.engines import embedded
from bench.place import Bench, Samples


def measure(bench: Bench) -> Samples:
    return asyncio.run(_replays(bench, 1_000 if bench.quick else 5_000, 5.0 if bench.quick else 20.0))


async def _replays(bench: Bench, most: int, recording_s: float) -> Samples:
    """Journal entries per second of read-only replays: from the request to the answer, and the handler alone.

    At most `most` activities are recorded, of two entries each (begun, outcome).
    """
    whole, handler = [], []
    async with embedded(bench.folder("replay")) as control:
        trial = 200
        rate = trial / await client.run(control, "sequence", {"activities": trial})
        count = min(most, int(rate * recording_s))  # a slow disk gives a shorter history
        session_id = await client.start(control, "sequence", {"activities": count})
        await client.result(control, session_id)
        for _ in range(3 if bench.quick else 7):
            began = time.monotonic()
            answer = await control.replay_session(pb.ReplaySessionRequest(session_id=session_id))
            whole.append(answer.entries / (time.monotonic() - began))
            if answer.done.state != DoneState.DONE_STATE_COMPLETED or answer.entries < 2 * count:
                raise RuntimeError(f"the replay did not go through: {answer.done}")
            handler.append(answer.entries / json.loads(answer.done.result.data))
    return {"replay_entries_per_s": whole, "replay_handler_entries_per_s": handler}
