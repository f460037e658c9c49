"""Sockets by which one gives orders: the coordinator's, the container engine's, the system's."""

import socket

from probing import verdict

PATHS = (
    *("/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock"),
    *("/run/systemd/private", "/run/dbus/system_bus_socket", "/run/snapd.socket"),
)


def main(event):
    return verdict(path for path in (event["paths"]["socket"], *PATHS) if connects(path))


def connects(path):
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
    except OSError:
        return False
    return True
