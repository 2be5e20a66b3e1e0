"""Loopback ports of the control plane: free ones, and the same again after a restart where possible."""

import json
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from polecat_api.protocol import LISTEN_PORTS
from polecat_local.paths import write_private

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """One TCP port for each listener."""

    api: int
    etcd_client: int
    etcd_peer: int


def choose_ports(path: Path) -> Ports:
    """The ports kept in `path` as far as they are free, others anew; kept in `path` again.

    So a kubeconfig that was handed out stays valid over a restart. What was free here may be taken when the
    listener starts; the process then ends and says so.
    """
    kept = _read(path)
    held: list[socket.socket] = []
    try:
        chosen = [_hold(wanted, held) for wanted in (kept or Ports(0, 0, 0)).__dict__.values()]
    finally:
        for holder in held:
            holder.close()
    ports = Ports(*chosen)
    if ports != kept:
        write_private(path, json.dumps(asdict(ports)))
    return ports


def choose_port(path: Path) -> int:
    """The one port kept in `path` if it is free, else another one; kept in `path` again."""
    held: list[socket.socket] = []
    try:
        port = _hold(read_port(path) or 0, held)
    finally:
        held[0].close()
    write_private(path, str(port))
    return port


def read_port(path: Path) -> int | None:
    """The port kept in `path`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _hold(wanted: int, held: list[socket.socket]) -> int:
    """Binds `wanted`, or any free port when it is 0 or taken; all are held until all are chosen."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.append(holder)
    # As the listeners do it: connections of the last run that are still in TIME_WAIT don't matter.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port = wanted or secrets.choice(LISTEN_PORTS)
    while True:
        try:
            holder.bind((HOST, port))
            return port
        except OSError:
            port = secrets.choice(LISTEN_PORTS)


def _read(path: Path) -> Ports | None:
    try:
        return Ports(**{name: int(port) for name, port in json.loads(path.read_text()).items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
