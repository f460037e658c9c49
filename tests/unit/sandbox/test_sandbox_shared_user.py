"""What Landlock has no rules for: files and processes of the host's own user, which a session there has as well."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from inside import inside


async def test_files_of_the_same_user_stay_as_they_are(tmp_path: Path, landlock: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("the host's")
    victim.chmod(0o600)
    before = victim.stat()
    async with inside(tmp_path / "state", landlock) as here:
        seen = await here.see(f"""
            import shutil, stat, tempfile
            def opened(path):
                with open(path) as file:
                    os.fchmod(file.fileno(), 0o4755)
                    return os.fstat(file.fileno()).st_mode & stat.S_ISUID
            victim, acl = {str(victim)!r}, "system.posix_acl_access"
            with tempfile.TemporaryDirectory() as folder:
                shutil.copy2("main.py", folder)
                copied = reading(folder + "/main.py") == reading("main.py")
            return {{
                "mode": attempt(os.chmod, victim, 0o4777),
                "opened": attempt(lambda: opened("main.py")),
                "times": attempt(os.utime, victim, (1, 1)),
                "owner": attempt(os.chown, victim, os.getuid(), os.getgid()),
                "access": attempt(os.setxattr, victim, acl, b"x"),
                "name": attempt(os.removexattr, victim, acl),
                "copied": copied,
            }}
        """)
    refused = dict.fromkeys(("owner", "access", "name"), "EPERM")
    assert seen == refused | {"mode": None, "opened": 0, "times": None, "copied": True}
    after = victim.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


async def test_processes_of_the_same_user_stay_as_they_are(tmp_path: Path, landlock: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE), os.sched_getaffinity(0), os.nice(0)
    async with inside(tmp_path / "state", landlock) as here:
        seen = await here.see(f"""
            host, cpus = {os.getpid()}, os.sched_getaffinity(0)
            own = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            return {{
                "read": attempt(resource.prlimit, host, resource.RLIMIT_NOFILE),
                "limit": attempt(resource.prlimit, host, resource.RLIMIT_NOFILE, (64, 64)),
                "cpus": attempt(os.sched_setaffinity, host, {{min(cpus)}}),
                "idle": attempt(os.sched_setscheduler, host, os.SCHED_IDLE, os.sched_param(0)),
                "nice": attempt(os.setpriority, os.PRIO_PROCESS, host, 19),
                "all": attempt(os.setpriority, os.PRIO_USER, 0, 19),
                "own limit": attempt(resource.setrlimit, resource.RLIMIT_NOFILE, (own - 1, own - 1)),
                "own cpus": attempt(os.sched_setaffinity, 0, cpus),
            }}
        """)
    assert seen == dict.fromkeys(("read", "limit", "cpus", "idle", "nice", "all"), "EPERM") | dict.fromkeys(
        ("own limit", "own cpus")
    )
    assert before == (resource.getrlimit(resource.RLIMIT_NOFILE), os.sched_getaffinity(0), os.nice(0))
