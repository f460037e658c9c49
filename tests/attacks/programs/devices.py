"""Devices of the machine. Opened, never read."""

import os

from probing import may_open, verdict

NAMES = (
    *("mem", "kmsg", "port", "kvm", "fuse", "loop-control", "loop0", "net/tun", "vhost-net", "vhost-vsock", "vsock"),
    *("vda", "vda1", "sda", "sda1", "nvme0n1", "uinput", "cuse", "cpu_dma_latency", "mapper/control"),
)


def main(event):
    return verdict(name for name in NAMES if may_open(f"/dev/{name}", os.O_RDONLY))
