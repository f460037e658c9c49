"""What a runner holds on this machine besides its processes: a control group, a folder to write in."""

import asyncio
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from perdure_proto.v1.runner_pb2 import Limits, Start

from perdure_runner.host.backend import BackendError, Ended, LimitReached
from perdure_runner.host.cgroups import Group, Groups


class _Process(Protocol):
    limit: LimitReached | None


@dataclass(frozen=True, slots=True)
class Holding:
    """Of one runner."""

    group: Group | None
    groups: Groups | None
    folder: Path | None

    def joining(self) -> list[int]:
        """Open files by which a process joins its control groups; the caller closes them."""
        return self.group.join() if self.group else []

    @property
    def counted(self) -> bool:
        """Whether a control group limits the number of its processes."""
        return self.group is not None and self.group.limits_processes

    def limit(self, limits: Limits) -> None:
        """Set the limits of what was made ahead, which are of the same kinds as those it was made for.

        Raises:
            BackendError: the machine does not let us.
        """
        try:
            if self.group is not None:
                self.group.limit(limits)
        except OSError as error:
            raise BackendError(f"no limits for a runner: {error}") from None

    def let_go(self, process: _Process, status: int | None, ended: Ended) -> None:
        """Its process is gone: find out why, clean up, and pass it on."""
        if self.group is not None:
            process.limit = self.group.reached(status)
        self.clean_up()
        ended(status)

    def clean_up(self) -> None:
        """Have nothing any more, soon: other sessions must not wait for it."""
        loop = asyncio.get_running_loop()
        if self.group is not None and self.groups is not None:
            loop.run_in_executor(None, self.groups.give_back, self.group)
        if self.folder is not None:
            loop.run_in_executor(None, functools.partial(shutil.rmtree, self.folder, ignore_errors=True))


@dataclass(frozen=True, slots=True)
class Held:
    """What runners of a host get. `groups`: none, where there are no control groups; `scratch`: where they get a folder
    each, if their sandbox has no place of its own to write in."""

    groups: Groups | None = None
    scratch: Path | None = None
    counts_itself: bool = False  # the sandbox limits processes without a control group

    def limits(self, start: Start) -> Limits:
        """What a control group is to hold of a session's limits."""
        limits = Limits()
        limits.CopyFrom(start.limits)
        if self.counts_itself:
            limits.processes = 0
        return limits

    def hold(self, limits: Limits) -> Holding:
        """Make what one runner needs.

        Raises:
            BackendError: this machine is out of something.
        """
        return self._make(limits, ahead=False)

    def hold_ahead(self, limits: Limits) -> Holding:
        """Make what a runner with such limits needs; `Holding.limit` sets them.

        Raises:
            BackendError: this machine is out of something.
        """
        return self._make(limits, ahead=True)

    def _make(self, limits: Limits, *, ahead: bool) -> Holding:
        group = None
        try:
            if self.groups is not None:
                group = self.groups.make_ahead(limits) if ahead else self.groups.make(limits)
            folder = Path(tempfile.mkdtemp(prefix="runner-", dir=self.scratch)) if self.scratch else None
        except OSError as error:
            raise BackendError(f"no control group or folder for a runner: {error}") from None
        return Holding(group, self.groups, folder)
