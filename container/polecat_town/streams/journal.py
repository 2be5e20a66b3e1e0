"""The journal of one attempt: an append-only file of events, with a copy on standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TextIO

from polecat_town.streams.events import Kind, StreamEvent, clean

_TAIL_BYTES = 1 << 20


def read_last_seq(path: Path) -> int:
    """The number of the last whole event in a journal; 0 when there is none.

    A last line that a kill cut short is not counted.
    """
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            size = file.tell()
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["seq"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def mend_tail(path: Path) -> None:
    """Cuts off a last line that has no end, so that the next event begins on a line of its own."""
    try:
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - _TAIL_BYTES)
            file.seek(start)
            tail = file.read()
            if tail and not tail.endswith(b"\n"):
                file.truncate(start + tail.rfind(b"\n") + 1)
    except FileNotFoundError:
        return


class Journal:
    """Numbers events and appends them. One line is one `write`, so a reader never sees half of one for long."""

    def __init__(
        self,
        path: Path,
        names: dict[str, str],
        redact: Callable[[str], str],
        *,
        echo: TextIO | None = None,
    ) -> None:
        """`names` (polecat, bead, rig …) go with each copy on `echo` (standard output)."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mend_tail(path)
        self.path = path
        self._seq = read_last_seq(path)
        self._names = names
        self._redact = redact
        self._echo = echo if echo is not None else sys.stdout
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def append(self, kind: Kind, **data: Any) -> StreamEvent:
        """Writes one event: secrets removed, cut to size."""
        self._seq += 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = StreamEvent(seq=self._seq, time=now, kind=kind, data=clean(data, self._redact))
        line = event.model_dump_json()
        # A few hundred bytes into the page cache: quicker than handing them to a thread.
        self._file.write(line.encode() + b"\n")
        self._echo.write(json.dumps(self._names, ensure_ascii=False)[:-1] + ', "event": ' + line + "}\n")
        self._echo.flush()
        return event

    def close(self) -> None:
        """Closes the file; the journal can be opened again and goes on counting."""
        self._file.close()
