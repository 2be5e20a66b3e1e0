"""The event stream: whoever listens to a directory gets its events, as `kilo serve` words them."""

from __future__ import annotations

import itertools
import json
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

HEARTBEAT_SECONDS = 10.0

_counter = itertools.count()
_start = int(time.time() * 1000)


def new_id(prefix: str) -> str:
    """`evt_…`, `ses_…`, `msg_…`: unique, later ones sort after earlier ones, also after a restart."""
    return f"{prefix}_{_start:012x}{next(_counter):06x}"


def now() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


class Bus:
    """All listeners of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[tuple[str | None, queue.Queue[bytes]]] = []

    def publish(self, directory: str, kind: str, properties: dict[str, Any]) -> None:
        """Tells every listener of the directory. `properties` is made JSON here, so it may change afterwards."""
        event = {"id": new_id("evt"), "type": kind, "properties": properties}
        line = _line(event)
        with self._lock:
            for heard, messages in self._listeners:
                if heard is None:
                    messages.put(_line({"directory": directory, "payload": event}))
                elif heard == directory:
                    messages.put(line)

    def stream(self, directory: str | None, send: Callable[[bytes], None]) -> None:
        """Sends events with `send(bytes)` until that raises OSError. `directory` None: those of all, wrapped."""
        messages: queue.Queue[bytes] = queue.Queue()
        entry = (directory, messages)
        with self._lock:
            self._listeners.append(entry)
        try:
            self._send(send, directory, "server.connected")
            while True:
                try:
                    send(messages.get(timeout=HEARTBEAT_SECONDS))
                except queue.Empty:
                    self._send(send, directory, "server.heartbeat")
        finally:
            with self._lock:
                self._listeners.remove(entry)

    def _send(self, send: Callable[[bytes], None], directory: str | None, kind: str) -> None:
        event = {"id": new_id("evt"), "type": kind, "properties": {}}
        send(_line(event if directory is not None else {"payload": event}))


def _line(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
