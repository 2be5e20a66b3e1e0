"""The user's cache: content-addressed directories that are there whole or not at all."""

import asyncio
import errno
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from polecat_local.errors import LocalError, describe_os_error
from polecat_local.locking import waiting_lock
from polecat_local.paths import cache_root, make_private
from polecat_local.progress import Progress

_DRAFT = ".draft-"
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


class Cache:
    """Entries `<root>/<kind>/<key>`, each made once by whoever comes first."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root

    def directory(self, kind: str) -> Path:
        """The directory of a kind of entries, made if need be; raises LocalError if that can't be."""
        root = self._root if self._root is not None else cache_root()
        return make_private(root / kind, "cache")

    def find(self, kind: str, prefix: str) -> Path | None:
        """The newest whole entry whose key begins with `prefix`; None if there is none."""
        entries = [e for e in self.directory(kind).glob(f"{prefix}*") if e.is_dir()]
        return max(entries, key=lambda e: e.stat().st_mtime, default=None)

    async def make(self, kind: str, key: str, fill: Callable[[Path], Awaitable[None]], progress: Progress) -> Path:
        """The entry `key`; if it is not there, `fill` is given an empty directory to put its content in.

        Two callers at once: the second waits for the first and takes its result. A failure, a cancellation
        or a kill in the middle leaves no entry; drafts of killed makers are removed by the next one.
        """
        directory = self.directory(kind)
        entry = directory / key
        if entry.is_dir():
            return entry

        def tell_waiting() -> None:
            progress.say(f"waiting for another polecat process that is preparing the same {kind} …")

        async with waiting_lock(directory / f"{key}.lock", tell_waiting):
            if entry.is_dir():
                return entry
            for leftover in directory.glob(f"{_DRAFT}{key}-*"):
                await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)
            try:
                draft = Path(tempfile.mkdtemp(prefix=f"{_DRAFT}{key}-", dir=directory))
            except OSError as error:
                raise LocalError(describe_os_error(error, f"writing to the cache {directory}")) from error
            try:
                await fill(draft)
                draft.replace(entry)
            except OSError as error:
                if error.errno not in _DISK_ERRORS:
                    raise  # A network error of the filler's, which it has words for itself.
                raise LocalError(describe_os_error(error, f"writing to the cache {directory}")) from error
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return entry
