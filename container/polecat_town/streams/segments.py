"""Where streams lie on the volume: `<bead-uid>/<attempt>.jsonl`, and further segments of a long one beside it.

A journal that has grown to a segment's size goes on in `<attempt>.<number of its first event>.jsonl`. Files that are
finished are packed after a while, and then end with `.gz`. What is known of the attempt as a whole stands in
`<attempt>.json`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from polecat_town.files import write_atomic
from polecat_town.streams.lines import LINE_MAX_BYTES, read_head
from polecat_town.streams.packed import SUFFIX, lines

_BEAD_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ATTEMPT = re.compile(r"[1-9][0-9]{0,8}")
_SEGMENT = re.compile(r"([1-9][0-9]{0,8})(?:\.([1-9][0-9]{0,17}))?\.jsonl(?:\.gz)?")


@dataclass(frozen=True, slots=True)
class StreamID:
    """One attempt at one bead."""

    bead_uid: str
    attempt: int


def parse_id(bead_uid: str, attempt: str) -> StreamID | None:
    """What a request names; None for whatever is no UID and no number. Nothing else ever becomes a path."""
    if _BEAD_UID.fullmatch(bead_uid) and _ATTEMPT.fullmatch(attempt):
        return StreamID(bead_uid, int(attempt))
    return None


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a journal."""

    path: Path
    attempt: int
    first_seq: int

    @property
    def packed(self) -> bool:
        """Whether it is compressed, and never written to any more."""
        return self.path.suffix == SUFFIX


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an attempt as a whole."""

    names: dict[str, str]
    """polecat, bead, rig."""
    ended: bool
    """Whether nothing will be added any more."""
    last_seq: int = 0
    """Number of the last event; 0 unless the attempt has ended."""
    base: str = ""
    """The commit that the work began from; empty unless the attempt has ended."""
    head: str = ""
    """The last commit of the work; empty unless there was one, and the attempt has ended."""


def segment_path(folder: Path, attempt: int, first_seq: int) -> Path:
    """The file that begins with an event; `folder` is that of the bead."""
    return folder / (f"{attempt}.jsonl" if first_seq == 1 else f"{attempt}.{first_seq}.jsonl")


def list_segments(folder: Path, attempt: int | None = None) -> list[Segment]:
    """The files of one attempt, or of all of a bead, in order."""
    found: dict[tuple[int, int], Segment] = {}
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in folder.iterdir():
            if match := _SEGMENT.fullmatch(path.name):
                segment = Segment(path, int(match[1]), int(match[2] or 1))
                key = (segment.attempt, segment.first_seq)
                # A kill while it was packed leaves both, and the packed one is whole.
                if attempt in (None, segment.attempt) and (key not in found or segment.packed):
                    found[key] = segment
    return [found[key] for key in sorted(found)]


def write_about(folder: Path, attempt: int, about: About) -> None:
    """Notes what is known of the attempt."""
    write_atomic(folder / f"{attempt}.json", json.dumps(asdict(about), ensure_ascii=False), durable=False)


def read_about(folder: Path, attempt: int) -> About:
    """What was noted; nothing, and not ended, if that can't be read."""
    try:
        noted = json.loads((folder / f"{attempt}.json").read_bytes())
        names = {str(key): str(value) for key, value in noted["names"].items()}
        base, head = str(noted.get("base", "")), str(noted.get("head", ""))
        return About(names, noted["ended"] is True, int(noted.get("last_seq", 0)), base, head)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return About({}, False)


def read_last_seq(segment: Segment) -> int:
    """Number of the last whole event; that before the segment's first one when it has none.

    A last line that a kill cut short is not counted. A packed file is read in full for it.
    """
    if segment.packed:
        heads = [head for line in lines(segment.path) if (head := read_head(line))]
        return heads[-1][0] if heads else segment.first_seq - 1
    with suppress(FileNotFoundError):
        for line in reversed(_tail(segment.path).split(b"\n")[:-1]):
            if head := read_head(line):
                return head[0]
    return segment.first_seq - 1


def mend_tail(path: Path) -> None:
    """Cuts off a last line that has no end, so that the next event begins on a line of its own."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        tail = _tail(path)
        if tail and not tail.endswith(b"\n"):
            size = file.seek(0, os.SEEK_END)
            file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * LINE_MAX_BYTES))
        return file.read()


def stored(root: Path) -> Iterator[tuple[StreamID, list[Segment]]]:
    """All attempts below the directory of streams."""
    with suppress(FileNotFoundError):
        for folder in sorted(root.iterdir()):
            by_attempt: dict[int, list[Segment]] = {}
            for segment in list_segments(folder):
                by_attempt.setdefault(segment.attempt, []).append(segment)
            for attempt, segments in by_attempt.items():
                yield StreamID(folder.name, attempt), segments
