"""Settings of the kernel's, and its panic button. Opened for writing, never written."""

from probing import may_open, verdict

FILES = (
    *("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname"),
    *("/proc/sys/kernel/panic", "/proc/sys/kernel/randomize_va_space", "/proc/sys/vm/drop_caches"),
    *("/proc/sys/vm/overcommit_memory", "/proc/sys/fs/file-max", "/proc/sys/net/ipv4/ip_forward"),
    *("/proc/sysrq-trigger", "/proc/irq/0/smp_affinity", "/proc/sys/user/max_user_namespaces"),
    *("/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled"),
    *("/proc/sys/fs/binfmt_misc/register", "/sys/kernel/security/apparmor/.load"),
)


def main(event):
    return verdict(path for path in FILES if may_open(path))
