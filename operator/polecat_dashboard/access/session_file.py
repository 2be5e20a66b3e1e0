"""A file that outlives the dashboard's process: who is signed in, without anything that would sign somebody in."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)
_BUSY_SECONDS = 1.0
_MAKE = "CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, sealed BLOB, started REAL, used REAL) WITHOUT ROWID"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of one session without its cookie."""

    sealed: bytes
    """The token, encrypted with a key that only the cookie gives."""
    started: float
    """Seconds since 1970."""
    used: float


class SessionFile:
    """SQLite, mode 0600. What goes wrong with it is logged, and costs no more than signing in again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    def load(self) -> dict[str, Kept]:
        """All sessions in the file, by the hash of their cookies; a file that can't be read is begun anew."""
        try:
            return dict(self._open())
        except (sqlite3.DatabaseError, OSError) as error:
            log.warning("sessions in %s are lost, everybody signs in again: %s", self._path, error)
        try:
            self.close()
            self._path.unlink(missing_ok=True)
            return dict(self._open())
        except (sqlite3.DatabaseError, OSError) as error:
            log.error("sessions end with this process, as %s can't be used: %s", self._path, error)
            self.close()
            return {}

    def _open(self) -> Iterator[tuple[str, Kept]]:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        self._path.chmod(0o600)
        database = self._database = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        # Enough for a process that is killed; a loss of power may cost the sessions.
        database.execute("PRAGMA synchronous=OFF")
        database.execute(_MAKE)
        for identity, sealed, started, used in database.execute("SELECT id, sealed, started, used FROM sessions"):
            yield identity, Kept(sealed, started, used)

    def put(self, identity: str, kept: Kept) -> None:
        """Writes one session."""
        self._do("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?)", identity, kept.sealed, kept.started, kept.used)

    def remove(self, identity: str) -> None:
        """Forgets one session."""
        self._do("DELETE FROM sessions WHERE id = ?", identity)

    def close(self) -> None:
        """Closes the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _do(self, statement: str, *values: object) -> None:
        if self._database is None:
            return
        try:
            self._database.execute(statement, values)
        except sqlite3.DatabaseError as error:
            log.warning("sessions are not written to %s: %s", self._path, error)
