"""Which pages a fork writes to, and that it can have them ahead."""

import ctypes
import gc
import mmap
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from perdure_runner.child import pages

PAGE = mmap.PAGESIZE
COUNT = 64


@pytest.fixture
def memory() -> mmap.mmap:
    """Pages of this process, each written to."""
    made = mmap.mmap(-1, COUNT * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for number in range(COUNT):
        made[number * PAGE] = 1
    return made


def address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def within(spans: Sequence[pages.Span], memory: mmap.mmap) -> list[int]:
    """Which of the pages of `memory` are in the spans."""
    first = address(memory)
    numbers = [(span.address - first) // PAGE + each for span in spans for each in range(span.size // PAGE)]
    return [number for number in numbers if 0 <= number < COUNT]


def test_pages_that_work_writes_to_are_learnt(memory: mmap.mmap) -> None:
    def work(end: Callable[[], object]) -> None:
        for number in (3, 4, 40):
            memory[number * PAGE] = 2
        end()
        memory[50 * PAGE] = 2

    assert within(pages.learn(work), memory) == [3, 4, 40]
    assert memory[3 * PAGE] == 1, "it was done in a fork"


def test_of_work_that_never_comes_so_far_nothing_is_learnt() -> None:
    assert pages.learn(lambda _end: None) == []


def test_pages_that_are_taken_are_one_s_own(memory: mmap.mmap) -> None:
    first = address(memory)
    spans = [pages.Span(first + 8 * PAGE, 2 * PAGE), pages.Span(1 << 40, PAGE), pages.Span(first + 20 * PAGE, PAGE)]

    def work(end: Callable[[], object]) -> None:
        pages.take(spans, lambda: False)
        end()

    assert within(pages.learn(work), memory) == [8, 9, 20]


def test_who_is_wanted_takes_no_more(memory: mmap.mmap) -> None:
    first = address(memory)
    spans = [pages.Span(first + number * PAGE, PAGE) for number in (8, 10, 20)]
    said = iter((0, 0, 1))

    def work(end: Callable[[], object]) -> None:
        pages.take(spans, lambda: next(said))
        end()

    assert within(pages.learn(work), memory) == [8, 10]


def test_what_is_in_them_stays(memory: mmap.mmap) -> None:
    pages.take([pages.Span(address(memory), COUNT * PAGE)], lambda: False)
    assert [memory[number * PAGE] for number in range(COUNT)] == [1] * COUNT


def test_no_process_and_no_descriptor_is_left() -> None:
    gc.collect()  # what other tests have left is not closed meanwhile: its numbers would be used again
    before, others = open_descriptors(), children()
    pages.learn(lambda end: end())
    assert open_descriptors() == before
    assert children() <= others


def open_descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
