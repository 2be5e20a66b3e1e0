"""Reads the journals of attempts as they grow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

AGENTS_CALLS = frozenset({"done-called", "pushed", "refused"})
"""Kinds of events that must not come after the end of an attempt."""


@dataclass
class Journals:
    """Reads the journals of some towns as they grow."""

    towns: Sequence[Path]
    _read: dict[Path, int] = field(default_factory=dict)
    _ends: dict[tuple[str, int], str] = field(default_factory=dict)

    def endings(self, bead_uid: str) -> Mapping[int, str]:
        """Serial number of each ended attempt at a bead → reason."""
        self.news()
        return {serial: reason for (uid, serial), reason in self._ends.items() if uid == bead_uid}

    def news(self) -> list[str]:
        """Reads on; tells the agents' calls that were taken after the end."""
        late: list[str] = []
        for town in self.towns:
            for path in sorted((town / "streams").glob("*/*.jsonl")):
                late += self._read_on(path)
        return late

    def _read_on(self, path: Path) -> Iterable[str]:
        start = self._read.get(path, 0)
        with suppress(OSError):
            if path.stat().st_size <= start:
                return
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read[path] = start + len(whole)
            key = (path.parent.name, int(path.stem))
            for line in whole.splitlines():
                event = json.loads(line)
                if event["kind"] == "ended":
                    self._ends[key] = event["data"]["reason"]
                elif event["kind"] in AGENTS_CALLS and key in self._ends:
                    yield f"{event['kind']} was taken after the end {self._ends[key]}: {path}, event {event['seq']}"
