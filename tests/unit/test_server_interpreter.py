"""What the interpreter of a server is set to while it starts, and while it serves."""

import gc
import sys
from collections.abc import Iterator

import pytest
from perdure_server.app import interpreter


@pytest.fixture(name="collects_again", autouse=True)
def collects_again_fixture() -> Iterator[None]:
    yield
    gc.enable()


def test_while_modules_are_imported_nothing_is_collected() -> None:
    interpreter.start()
    assert not gc.isenabled()
    with interpreter.serving():
        assert gc.isenabled()
    assert gc.isenabled()


def test_what_was_there_is_looked_at_no_more() -> None:
    was_there: list[object] = [object()]
    with interpreter.serving():
        came: list[object] = [object()]
        looked_at = [id(each) for each in gc.get_objects()]
        assert id(came) in looked_at
        assert id(was_there) not in looked_at
    assert id(was_there) in [id(each) for each in gc.get_objects()]


def test_threads_give_way_sooner() -> None:
    before = sys.getswitchinterval()
    with interpreter.serving():
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before
