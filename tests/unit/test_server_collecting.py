"""A server's collector of cyclic garbage looks at what came after its start only."""

import gc
from collections.abc import Iterator

import pytest
from perdure_server.app import collecting


@pytest.fixture(name="was_enabled", autouse=True)
def was_enabled_fixture() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_while_modules_are_imported_nothing_is_collected() -> None:
    collecting.wait()
    assert not gc.isenabled()
    with collecting.of_what_comes():
        assert gc.isenabled()
    assert gc.isenabled()


def test_what_was_there_is_looked_at_no_more() -> None:
    was_there: list[object] = [object()]
    with collecting.of_what_comes():
        came: list[object] = [object()]
        looked_at = [id(each) for each in gc.get_objects()]
        assert id(came) in looked_at
        assert id(was_there) not in looked_at
    assert id(was_there) in [id(each) for each in gc.get_objects()]
