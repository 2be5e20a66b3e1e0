"""The journal of one attempt: numbered events in append-only files, with a copy on standard output."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TextIO

from polecat_town import metrics
from polecat_town.streams.deltas import COALESCE_SECONDS, Deltas
from polecat_town.streams.events import PIECES, Kind
from polecat_town.streams.feed import Entry, Feed
from polecat_town.streams.lines import build_line, read_head
from polecat_town.streams.packed import lines
from polecat_town.streams.redaction import Redactor
from polecat_town.streams.segments import (
    About,
    list_segments,
    mend_tail,
    read_last_seq,
    segment_path,
    write_about,
)

log = logging.getLogger(__name__)
SEGMENT_BYTES = 8 << 20


class Journal:
    """Numbers events and appends them. One line is one `write`, so a reader never sees half of one for long."""

    def __init__(
        self,
        folder: Path,
        attempt: int,
        names: dict[str, str],
        redactor: Callable[[], Redactor],
        *,
        echo: TextIO | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        coalesce_seconds: float = COALESCE_SECONDS,
        pause_seconds: Callable[[], float] = lambda: 0.0,
        on_rotated: Callable[[], None] = lambda: None,
    ) -> None:
        """Goes on where the files in `folder`, that of the bead, end.

        `names` (polecat, bead, rig) go with each copy on `echo` (standard output). `redactor` gives that of the
        moment. `pause_seconds` is for readers, see Feed.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._attempt = attempt
        self._names = names
        self._names_json = json.dumps(names, ensure_ascii=False)[:-1]
        self._redactor = redactor
        self._echo = echo if echo is not None else sys.stdout
        self._segment_bytes = segment_bytes
        self._on_rotated = on_rotated
        last = 0
        self.path = segment_path(folder, attempt, 1)
        if segments := list_segments(folder, attempt):
            last = read_last_seq(segments[-1])
            self.path = segment_path(folder, attempt, last + 1) if segments[-1].packed else segments[-1].path
            mend_tail(self.path)
        self._file: IO[bytes] = self.path.open("ab", buffering=0)
        self._size = self._file.tell()
        self._failing = False
        self.feed = Feed(last, pause_seconds)
        self._deltas = Deltas(self._write, redactor, coalesce_seconds)
        write_about(folder, attempt, About(names, ended=False))

    def append(self, kind: Kind, **data: Any) -> int:
        """Writes one event: secrets removed, cut to size. Gives the number of the last one written."""
        self._deltas.flush()
        return self._write(kind, data)

    def append_piece(self, kind: Kind, key: str, text: str, **data: Any) -> None:
        """Adds to what grows under `key`: pieces of some milliseconds together are one event."""
        self._deltas.add(kind, key, text, data)

    def tells(self, kind: Kind) -> bool:
        """Whether an event of this kind is kept. It reads all of the journal."""
        for segment in reversed(list_segments(self._folder, self._attempt)):
            if any(head is not None and head[1] == kind for head in map(read_head, lines(segment.path))):
                return True
        return False

    def end_pieces(self, key: str | None = None) -> None:
        """What grew (all, without a key) is over. With a key its whole follows, so nothing is left to say of it."""
        if key is None:
            self._deltas.end()
        else:
            self._deltas.drop(key)

    def _write(self, kind: Kind, data: dict[str, Any]) -> int:
        seq = self.feed.last_seq + 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = build_line(seq, now, kind, data, self._redactor().text)
        if self._size >= self._segment_bytes:
            self._rotate(seq)
        if not self._append_line(line + b"\n"):
            return self.feed.last_seq
        self.feed.push(Entry(seq, kind.value, line))
        metrics.STREAM_EVENTS.inc()
        if kind not in PIECES:
            self._echo.write(f'{self._names_json}, "event": {line.decode()}}}\n')
            self._echo.flush()
        return seq

    def _append_line(self, line: bytes) -> bool:
        """False if the volume does not take it: then there is no such event, and its number goes to the next."""
        try:
            # A few hundred bytes into the page cache: quicker than handing them to a thread.
            written = self._file.write(line)
            if written == len(line):
                self._size += written
                metrics.STREAM_BYTES.inc(written)
                self._failing = False
                return True
            reason = "it is full"
        except OSError as error:
            reason = str(error)
        metrics.LOST_STREAM_EVENTS.inc()
        if not self._failing:
            self._failing = True
            log.error("events are lost, the volume does not take them: %s", reason)
        with suppress(OSError):
            self._file.truncate(self._size)
        return False

    def _rotate(self, seq: int) -> None:
        path = segment_path(self._folder, self._attempt, seq)
        try:
            file = path.open("ab", buffering=0)
        except OSError:
            # The old one is as good, as long as there is no room for another.
            return
        self._file.close()
        self._file, self.path, self._size = file, path, 0
        self._on_rotated()

    def close(self, *, ended: bool = False, base: str = "", head: str = "") -> None:
        """Closes the file. Unless the attempt has `ended`, the journal can be opened again and goes on counting.

        `base` and `head` are the commits that its work lies between.
        """
        self._deltas.end()
        self._file.close()
        if ended:
            write_about(self._folder, self._attempt, About(self._names, True, self.feed.last_seq, base, head))
        self.feed.close()
