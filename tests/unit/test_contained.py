"""What a zygote in a container may see of itself, and when."""

import os
from collections.abc import Sequence

from perdure_runner.child import contained
from perdure_runner.child.pages import Span

NOBODY = 65532


def sees_itself() -> bool:
    """Whether this process may look at its own pages in /proc; root may at all times."""
    try:
        os.close(os.open("/proc/self/pagemap", os.O_RDONLY))
    except PermissionError:
        return False
    return True


def test_a_zygote_sees_its_pages_only_until_it_has_runners() -> None:
    seen: list[bool] = []

    def learn() -> Sequence[Span]:
        seen.append(sees_itself())
        return ()

    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if os.getuid() == 0:
                os.setuid(NOBODY)
            contained.guarded(lambda _connection: 0)
            seen.append(sees_itself())
            contained.before_runners(learn)()
            status = 0 if [*seen, sees_itself()] == [False, True, False] else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
