"""Removes the journals of ended attempts when they are too old, or all together too large."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StoredJournal:
    """One journal on the volume."""

    path: Path
    size_bytes: int
    modified: float
    """Seconds since 1970."""


def choose(
    journals: Collection[StoredJournal], now: float, age_seconds: float, total_bytes: int
) -> list[StoredJournal]:
    """Which ones to remove, given only those of ended attempts: the oldest first."""
    ordered = sorted(journals, key=lambda journal: journal.modified)
    total = sum(journal.size_bytes for journal in ordered)
    chosen = []
    for journal in ordered:
        if now - journal.modified > age_seconds or total > total_bytes:
            chosen.append(journal)
            total -= journal.size_bytes
    return chosen


def prune(streams: Path, in_use: Collection[Path], now: float, age_seconds: float, total_bytes: int) -> int:
    """Removes what is due below `streams`; gives how many. Run it in a thread."""
    found = []
    for path in streams.glob("*/*.jsonl"):
        if path not in in_use:
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                found.append(StoredJournal(path, stat.st_size, stat.st_mtime))
    chosen = choose(found, now, age_seconds, total_bytes)
    for journal in chosen:
        journal.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            journal.path.parent.rmdir()
    return len(chosen)
