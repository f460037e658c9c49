"""A session on its host, with real zygotes and processes and a stand-in for the child half."""

from pathlib import Path

from host_support import running


async def test_a_session_from_start_to_done(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        coordinator.start("echo:3")
        attached = await coordinator.next("attached")
        assert (attached.session_id, attached.epoch) == ("s", 1)
        done = await coordinator.next("done")
        assert done.no == 4
        assert done.result.data == b"null"
        assert [record.no for record in coordinator.records()] == [1, 2, 3]
