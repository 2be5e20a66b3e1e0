"""Listening sockets whose ports stay the same over restarts of the supervisor."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from polecat_http.server import listen
from polecat_town.files import write_atomic


def bind(host: str, port: int, port_file: Path) -> socket.socket:
    """A listening socket. Port 0 means the one noted in `port_file` if it is free, else any; it is noted there.

    Raises OSError when a given port is taken.
    """
    for candidate in _noted(port_file) if port == 0 else []:
        try:
            return _listen(host, candidate, port_file)
        except OSError:
            continue
    try:
        return _listen(host, port, port_file)
    except OSError as error:
        if host != "::" or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        # "All addresses" on a machine without IPv6.
        return _listen("0.0.0.0", port, port_file)  # noqa: S104


def _listen(host: str, port: int, port_file: Path) -> socket.socket:
    listening = listen(host, port)
    write_atomic(port_file, str(listening.getsockname()[1]), mode=0o644)
    return listening


def _noted(port_file: Path) -> list[int]:
    try:
        return [int(port_file.read_text())]
    except (OSError, ValueError):
        return []
