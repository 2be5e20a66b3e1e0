"""A lock file for each Polecat UID: at most one process runs it, whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

log = logging.getLogger(__name__)
_AGAIN_SECONDS = 1.0


class HeldElsewhereError(Exception):
    """Another process holds the lock; the message names it."""


class PolecatLock:
    """An exclusive lock that ends with the process, also when that is killed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> None:
        """Takes the lock or raises HeldElsewhereError; OSError when the volume can't be written."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._path.read_text().strip() or "an unknown process"
            os.close(fd)
            raise HeldElsewhereError(f"{self._path} is held by {holder}") from None
        own = psutil.Process()
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps({"pid": own.pid, "startTime": own.create_time()}).encode(), 0)
        except OSError:
            os.close(fd)  # else the next try would find it held, by us
            raise
        self._fd = fd

    async def wait(self, stop: asyncio.Event) -> bool:
        """Takes the lock as soon as it is free; False if `stop` is set before that."""
        while not stop.is_set():
            try:
                self.acquire()
                return True
            except HeldElsewhereError as error:
                log.warning("another supervisor is at work: %s", error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_SECONDS):
                        await stop.wait()
        return False

    def release(self, *, remove: bool = False) -> None:
        """Gives the lock back; `remove` takes its file away first, when the polecat is gone for good."""
        if self._fd is None:
            return
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
