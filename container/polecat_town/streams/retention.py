"""Removes what is kept of streams when it is too old, or all together too large."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from polecat_town import metrics
from polecat_town.streams.packed import pack
from polecat_town.streams.segments import Segment, StreamID, read_about, stored


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """One file on the volume."""

    stream: StreamID
    path: Path
    size_bytes: int
    modified: float
    """Seconds since 1970."""


def choose(
    segments: Collection[StoredSegment],
    in_use: Mapping[StreamID, Path],
    now: float,
    age_seconds: float,
    total_bytes: int,
) -> list[StoredSegment]:
    """Which files to remove: those of ended attempts first, whole ones and the oldest first.

    When that is not enough the oldest files of attempts that go on follow, never one that is written to.
    """
    by_stream: dict[StreamID, list[StoredSegment]] = {}
    for segment in segments:
        by_stream.setdefault(segment.stream, []).append(segment)
    total = sum(segment.size_bytes for segment in segments)
    chosen: list[StoredSegment] = []
    ended = [group for stream, group in by_stream.items() if stream not in in_use]
    for group in sorted(ended, key=_modified):
        if now - _modified(group) > age_seconds or total > total_bytes:
            chosen += group
            total -= sum(segment.size_bytes for segment in group)
    active = set(in_use.values())
    going_on = [each for each in segments if each.stream in in_use and each.path not in active]
    for segment in sorted(going_on, key=lambda each: each.modified):
        if total <= total_bytes:
            break
        chosen.append(segment)
        total -= segment.size_bytes
    return chosen


def _modified(group: list[StoredSegment]) -> float:
    return max(segment.modified for segment in group)


PACK_AFTER_SECONDS = 3600.0
"""Files that nobody has written to for so long are packed; what people look at just now stays as it is."""
_PACKED_AT_ONCE = 32


def pack_finished(root: Path, in_use: Container[StreamID], now: float) -> int:
    """Compresses files that are finished, some of them each time; gives how many. Run it in a thread."""
    packed = 0
    for stream, segments in stored(root):
        ended = stream not in in_use and read_about(root / stream.bead_uid, stream.attempt).ended
        for segment in segments if ended else segments[:-1]:
            if segment.packed:
                # Left over by a kill.
                segment.path.with_suffix("").unlink(missing_ok=True)
                continue
            with contextlib.suppress(OSError):
                if now - segment.path.stat().st_mtime > PACK_AFTER_SECONDS:
                    pack(segment.path)
                    packed += 1
            if packed == _PACKED_AT_ONCE:
                return packed
    return packed


def prune(root: Path, in_use: Mapping[StreamID, Path], now: float, age_seconds: float, total_bytes: int) -> int:
    """Removes what is due below `root`; gives how many files. Run it in a thread."""
    found: list[StoredSegment] = []
    in_use = dict(in_use)
    for stream, segments in stored(root):
        files = _look(stream, segments)
        found += files
        open_ended = files and not read_about(root / stream.bead_uid, stream.attempt).ended
        if open_ended and stream not in in_use and now - _modified(files) <= age_seconds:
            # It may go on after a restart, and has to go on counting; one that is older never will.
            in_use[stream] = files[-1].path
    chosen = choose(found, in_use, now, age_seconds, total_bytes)
    metrics.STORED_STREAM_BYTES.set(sum(each.size_bytes for each in found) - sum(each.size_bytes for each in chosen))
    for segment in chosen:
        segment.path.unlink(missing_ok=True)
    for stream in {segment.stream for segment in chosen} - set(in_use):
        folder = root / stream.bead_uid
        (folder / f"{stream.attempt}.json").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
    return len(chosen)


def _look(stream: StreamID, segments: Collection[Segment]) -> list[StoredSegment]:
    found = []
    for segment in segments:
        with contextlib.suppress(FileNotFoundError):
            stat = segment.path.stat()
            found.append(StoredSegment(stream, segment.path, stat.st_size, stat.st_mtime))
    return found
