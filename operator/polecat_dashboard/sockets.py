"""The sockets that people's browsers connect to."""

from __future__ import annotations

import socket

from polecat_http.server import listen

STUCK_MILLISECONDS = 60_000
"""The kernel ends connections whose other side takes nothing for so long."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises OSError when it can't be had."""
    listening = listen(host, port)
    # Connections inherit both.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_MILLISECONDS)
    return listening
