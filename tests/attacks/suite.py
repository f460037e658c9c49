"""The attacks, as a table: what they are about, what is seen from outside, and why some do not work even on `plain`."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attacks import oracles

if TYPE_CHECKING:
    from attacks.running import Ran
    from attacks.world import World

Oracle = Callable[["World", "Ran"], str]
"""What leaked, as seen from outside; "" if nothing did."""


@dataclass(frozen=True)
class Attack:
    """One program.

    family: the class of attacks it belongs to. `program`: the file in programs/; its name if empty.
    oracle: looks from outside, besides what the program says of itself.
    plain: why `plain` holds it, too; "" if it does not, which shows that the attack works.
    root: on `plain` it only works where the host is root.
    alone: nothing else runs meanwhile, for it takes much, or much is measured.
    endless: it prints "settled" and goes on until it is killed.
    other: a function of the program that another session runs meanwhile; what that returns counts.
    """

    name: str
    family: str
    oracle: Oracle = oracles.nothing
    plain: str = ""
    root: bool = False
    alone: bool = False
    endless: bool = False
    other: str = ""
    program: str = ""
    arguments: tuple[str, ...] = ()
    project: str = "attacks"

    @property
    def entry(self) -> str:
        """As `perdure start` wants it."""
        return f"{self.program or self.name}.py:main"

    @property
    def entry_of_other(self) -> str:
        """The other session's."""
        return f"{self.program or self.name}.py:{self.other}"


COORDINATOR = "the coordinator looks at who asks, whatever holds the session"
HOST = "its host does not mind what is no frame, or a wrong one: it ends the session, whatever holds it"
ALONE = "" if platform.machine() == "x86_64" else "this machine has one kind of programs only"
INHERENT = {"forged_end": "a session can always lie about its own results: they are its own"}
"""What no sandbox holds, and why that is right."""
_CALLS = {
    "bpf": ("bpf",),
    "io_uring": ("io_uring_setup", "io_uring_enter"),
    "keyrings": ("keyctl", "add_key", "request_key"),
    "perf_events": ("perf_event_open",),
    "userfaultfd": ("userfaultfd",),
    "another_kernel": ("kexec_load", "kexec_file_load", "reboot", "init_module", "finit_module", "delete_module"),
    "files_by_handle": ("open_by_handle_at", "name_to_handle_at"),
    "clocks": ("settimeofday", "clock_settime", "adjtimex"),
    "machine_calls": ("swapon", "acct", "syslog", "quotactl", "fanotify_init"),
    "process_calls": ("ptrace", "process_madvise", "kcmp", "move_pages", "migrate_pages", "pidfd_getfd"),
    "mount_calls": ("mount", "umount2", "pivot_root", "setns", "open_tree", "move_mount", "mount_setattr"),
    "mount_contexts": ("fsopen", "fspick", "fsconfig", "fsmount"),
}


def _several(family: str, names: str, **given: object) -> list[Attack]:
    return [Attack(name, family, **given) for name in names.split()]  # type: ignore[arg-type]  # as given


ATTACKS: tuple[Attack, ...] = (
    Attack("fork_bomb", "bombs", alone=True),
    Attack("thread_bomb", "bombs"),
    Attack("memory_bomb", "bombs", alone=True),
    Attack("disk_bomb", "bombs"),
    Attack("inode_bomb", "bombs"),
    Attack("descriptor_bomb", "bombs", plain="a resource limit, which every runner has"),
    Attack("inotify_bomb", "bombs", endless=True, other="other"),
    Attack("cpu_bomb", "bombs", alone=True, project="capped"),
    Attack(
        "log_bomb", "bombs", oracles.host_is_small, plain="output is counted, whatever holds the session", alone=True
    ),
    Attack("raw_output_bomb", "bombs", oracles.host_is_small, plain="only its end is kept", alone=True),
    Attack("double_fork", "afterlife", oracles.remains),
    Attack("ignored_signals", "afterlife", oracles.remains, endless=True),
    Attack("orphans", "afterlife", oracles.remains, plain="the session's group is killed"),
    Attack("left_shared_memory", "afterlife", oracles.segment_remains),
    *_several("other sessions", "other_code other_temporary_files other_runners"),
    *_several("files", "files_of_the_home symbolic_links ways_around"),
    Attack("files_of_the_machine", "files", root=True),
    *_several("processes", "command_lines memory_by_file memory_by_call tracing"),
    Attack("environments", "processes"),
    Attack("signals", "processes", oracles.decoy_was_signalled),
    *_several("sockets and memory", "abstract_socket path_socket shared_memory"),
    *_several("descriptors", "descriptors_by_file descriptors_by_call descriptors_by_message"),
    Attack("inherited_descriptors", "descriptors", plain="a zygote closes everything but what it was given"),
    *_several(
        "privileges",
        "root_again setuid_programs devices made_devices new_root raw_sockets priorities mounts undone_mounts",
        root=True,
    ),
    *_several("privileges", "own_namespaces capabilities"),
    *_several("kernel", "kernel_settings kernel_memory control_groups", root=True),
    Attack("address_families", "kernel"),
    Attack("other_architecture", "kernel", plain=ALONE),
    *(Attack(name, "kernel", program="system_calls", arguments=calls) for name, calls in _CALLS.items()),
    *_several("network", "coordinator_address local_services private_addresses name_servers sockets_of_services"),
    Attack("egress_proxy", "network", project="listed"),
    Attack("poisoned_packages", "poison", root=True),
    Attack("poisoned_environment", "poison", oracles.folder_is_made, root=True),
    Attack("poisoned_build", "poison", oracles.mark_is_kept),
    Attack("poisoned_bytecode", "poison", oracles.mark_is_kept),
    *_several(
        "frames", "oversized_frame no_frame no_object deep_header long_number", oracle=oracles.refused, plain=HOST
    ),
    *_several("frames", "header_bomb long_header unknown_frames replayed_number", oracle=oracles.refused, plain=HOST),
    *_several("frames", "negative_number huge_number second_hello forged_entry", oracle=oracles.refused, plain=HOST),
    Attack("other_session", "frames", oracles.victim_is_untouched, plain="the socket says whose session it is"),
    Attack("silence", "frames", plain=HOST, endless=True),
    Attack("flood", "frames", oracles.host_is_small, plain=HOST, alone=True),
    Attack("forged_end", "frames", oracles.forged_result),
    *_several("requests", "other_store other_conversations", plain=COORDINATOR),
    Attack("signal_bomb", "requests", oracles.host_is_small, plain=COORDINATOR, alone=True),
    Attack("forged_asks", "requests", oracles.refused, plain=HOST),
)
BY_NAME = {attack.name: attack for attack in ATTACKS}
