"""Locks between processes: flock on a file, so that the kernel frees them when the holder dies."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from polecat_local.errors import LocalError, describe_os_error

POLL_SECONDS = 0.2


class FileLock:
    """An exclusive lock on `path`; the file stays behind, since removing it would race with a waiter."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Takes the lock if it is free. Raises LocalError when the file cannot be made."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LocalError(describe_os_error(error, f"making the lock file {self._path}")) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Gives the lock back; nothing happens if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@asynccontextmanager
async def waiting_lock(path: Path, on_wait: Callable[[], None]) -> AsyncIterator[None]:
    """Holds the lock on `path` for the block; calls `on_wait` once if another process has it now."""
    lock = FileLock(path)
    told = False
    while not lock.try_acquire():
        if not told:
            on_wait()
            told = True
        await asyncio.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()
