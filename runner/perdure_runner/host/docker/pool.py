"""Warm cells: for each shape that sessions had lately, a few that are started before anybody asks."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

from perdure_runner.host.backend import BackendError
from perdure_runner.host.docker.cell import LATER_S, Cell
from perdure_runner.host.docker.shape import Shape
from perdure_runner.host.pythons import Interpreter

_SHAPES = 4  # lately used, of which warm cells are kept

Make = Callable[[Shape, Interpreter], Awaitable[Cell]]


class Pool:
    """At most `warm` cells that wait, of each of the shapes last used."""

    def __init__(self, make: Make, warm: int, making: int) -> None:
        self._make = make
        self._warm = warm
        self._turns = asyncio.Semaphore(making)
        self._waiting: dict[Shape, list[Cell]] = {}  # the shape used last is the last in the order
        self._filling: set[asyncio.Task[None]] = set()
        self._coming: dict[Shape, int] = {}
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many cells wait, of all shapes."""
        return sum(len(cells) for cells in self._waiting.values())

    def peek(self, shape: Shape) -> Cell | None:
        """Give a cell that waits. It stays in the pool until it gets its runner."""
        cells = self._waiting.get(shape, [])
        while cells and not cells[0].alive:
            cells.pop(0)
        return cells[0] if cells else None

    async def get(self, shape: Shape, python: Interpreter) -> Cell:
        """Give a cell, as `peek` does, if need be when it has been made.

        Raises:
            BackendError: it cannot be made.
        """
        while (cell := self.peek(shape)) is None:
            async with self._turns:
                if self.peek(shape) is None:  # else it came while we waited for our turn
                    self._admit(await self._make(shape, python))
        return cell

    def warm(self, shape: Shape, python: Interpreter) -> None:
        """Begin to make what is missing of a shape, and end what is too much of others."""
        self._use(shape)
        missing = self._warm - len(self._waiting[shape]) - self._coming.get(shape, 0)
        for _ in range(0 if self._closed else missing):
            self._coming[shape] = self._coming.get(shape, 0) + 1
            task = asyncio.create_task(self._fill(shape, python))
            self._filling.add(task)
            task.add_done_callback(self._filling.discard)

    async def close(self) -> None:
        """End all cells that wait, and make no more."""
        self._closed = True
        for task in self._filling:
            task.cancel()
        await asyncio.gather(*self._filling, return_exceptions=True)
        for shape in list(self._waiting):
            self._drop(shape)

    async def _fill(self, shape: Shape, python: Interpreter) -> None:
        try:
            async with self._turns:
                self._admit(await self._make(shape, python))
        except BackendError as error:  # whoever needs one hears of it; the next session asks again
            print(f"perdure: no warm container: {error}", file=sys.stderr, flush=True)
        finally:
            self._coming[shape] -= 1

    def _admit(self, cell: Cell) -> None:
        if self._closed:
            cell.end()
            return
        cell.left = self._leave
        self._use(cell.shape)
        self._waiting[cell.shape].append(cell)

    def _leave(self, cell: Cell) -> None:
        """A cell gets its runner: another takes its place, but not while that one needs the processor to start."""
        with contextlib.suppress(ValueError):
            self._waiting.get(cell.shape, []).remove(cell)
        asyncio.get_running_loop().call_later(LATER_S, self.warm, cell.shape, cell.python)

    def _use(self, shape: Shape) -> None:
        self._waiting[shape] = self._waiting.pop(shape, [])
        for old in list(self._waiting)[: max(0, len(self._waiting) - _SHAPES)]:
            self._drop(old)

    def _drop(self, shape: Shape) -> None:
        for cell in self._waiting.pop(shape):
            cell.end()
