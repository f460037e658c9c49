"""Runs kernels when it is told to: `python -m bench.kernel_worker plain|compiled|pure CACHE`, a line each on its input.

A line is `NAME FUNCTION ARGUMENT`; the answer is the CPU time it took, in milliseconds. Plain workers and others differ
in one thing: the others import the kernels as a runner imports a build, and their router refuses to record, because a
kernel has no external call. PERDURE_PURE says which twin of the call sites they get.
"""

import functools
import gc
import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

from perdure_runner.child.patching import hook, sites
from perdure_runner.child.patching.sites import SiteInfo
from perdure_runner.child.policy.policy import Policy, Verdict

from bench.place import KERNELS


class NothingToRecord:
    """A recorder whose verdicts are asked for as in a session, and which no call reaches."""

    def direct(self) -> bool:
        return False

    def route(self, f: Callable[..., Any], verdict: Verdict, site: SiteInfo) -> Callable[..., Any]:
        raise AssertionError(f"{f!r} at {site} is {verdict}: a kernel calls nothing outside")


def install(cache: str) -> None:
    """The hook over the kernels, with the policy of a runner."""
    is_user_file = functools.lru_cache(maxsize=None)(hook.UserTree(str(KERNELS)).owns)
    hook.install(str(KERNELS), cache, NothingToRecord(), Policy(is_user_file))


def main(kind: str, cache: str) -> None:
    sys.path.insert(0, str(KERNELS))
    if kind != "plain":
        assert sites.twin.__name__.endswith(kind), f"{kind} call sites were asked for, these are of {sites.twin!r}"
        install(cache)
    for line in sys.stdin:
        module, function, argument = line.split()
        work = getattr(importlib.import_module(module), function)
        gc.collect()
        began = time.process_time_ns()
        work(int(argument))
        print((time.process_time_ns() - began) / 1e6, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
