"""System calls that no handler needs. Their arguments change nothing; the answer tells who is let in."""

import ctypes
import errno
import platform

from probing import system_call, verdict

CLOSED = (errno.EPERM, errno.ENOSYS, errno.EACCES)
BAD = ctypes.c_void_p(0)
NUMBERS = {  # name: (x86-64, ARM64, arguments)
    "bpf": (321, 280, (0, BAD, 0)),
    "io_uring_setup": (425, 425, (1, BAD)),
    "io_uring_enter": (426, 426, (-1, 0, 0, 0, BAD, 0)),
    "keyctl": (250, 219, (0, -3, 0)),
    "add_key": (248, 217, (BAD, BAD, BAD, 0, -3)),
    "request_key": (249, 218, (BAD, BAD, BAD, -3)),
    "perf_event_open": (298, 241, (BAD, 0, -1, -1, 0)),
    "userfaultfd": (323, 282, (0,)),
    "kexec_load": (246, 104, (BAD, 0, BAD, -1)),
    "kexec_file_load": (320, 294, (-1, -1, 0, BAD, -1)),
    "init_module": (175, 105, (BAD, 0, BAD)),
    "finit_module": (313, 273, (-1, BAD, 0)),
    "delete_module": (176, 106, (BAD, 0)),
    "open_by_handle_at": (304, 265, (-1, BAD, 0)),
    "name_to_handle_at": (303, 264, (-1, BAD, BAD, BAD, 0)),
    "settimeofday": (164, 170, (ctypes.c_void_p(1), BAD)),
    "clock_settime": (227, 112, (0, ctypes.c_void_p(1))),
    "adjtimex": (159, 171, (ctypes.c_void_p(1),)),
    "swapon": (167, 224, (BAD, 0)),
    "acct": (163, 89, (ctypes.c_void_p(1),)),
    "reboot": (169, 142, (0, 0, 0, BAD)),
    "syslog": (103, 116, (10, BAD, 0)),
    "quotactl": (179, 60, (0, BAD, 0, BAD)),
    "ptrace": (101, 117, (0x4206, 0, BAD, BAD)),
    "process_madvise": (440, 440, (-1, BAD, 0, 0, 0)),
    "kcmp": (312, 272, (0, 0, 0, 0, 0)),
    "move_pages": (279, 239, (0, 0, BAD, BAD, BAD, 0)),
    "migrate_pages": (256, 238, (0, 0, BAD, BAD)),
    "setns": (308, 268, (-1, 0)),
    "fanotify_init": (300, 262, (-1, 0)),
    "mount": (165, 40, (BAD, BAD, BAD, 32 | 2 | 4, BAD)),  # as a sandbox changes a mount's options while it is made
    "umount2": (166, 39, (BAD, 0)),
    "pivot_root": (155, 41, (BAD, BAD)),
    "fsopen": (430, 430, (BAD, 0)),
    "fspick": (433, 433, (-1, BAD, 0)),
    "fsconfig": (431, 431, (-1, 0, BAD, BAD, 0)),
    "fsmount": (432, 432, (-1, 0, 0)),
    "open_tree": (428, 428, (-1, BAD, 0)),
    "move_mount": (429, 429, (-1, BAD, -1, BAD, 0)),
    "mount_setattr": (442, 442, (-1, BAD, 0, BAD, 0)),
    "pidfd_getfd": (438, 438, (-1, 0, 0)),
}


def main(event):
    column = ("x86_64", "aarch64").index(platform.machine())
    wanted = event["arguments"] or list(NUMBERS)
    errors = {name: system_call(NUMBERS[name][column], *NUMBERS[name][2]) for name in wanted}
    return verdict(name for name, number in errors.items() if number not in CLOSED)
