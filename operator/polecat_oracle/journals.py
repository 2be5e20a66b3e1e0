"""Reads the journals of attempts as they grow."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

AGENTS_CALLS = frozenset({"done-called", "pushed", "refused"})
"""Kinds of events that must not come after the end of an attempt."""
NAMES_COMMIT = frozenset({"checkpoint", "saved", "pushed"})
"""Kinds of events with a commit that the supervisor has taken over."""


@dataclass(frozen=True, slots=True)
class News:
    """What journals have told since they were last read."""

    late: tuple[str, ...] = ()
    """Agents' calls that were taken after the end."""
    commits: tuple[tuple[str, str], ...] = ()
    """Commits of attempts that have ended meanwhile, and the journal that names them."""


@dataclass
class Journals:
    """Reads the journals of some towns as they grow."""

    towns: Sequence[Path]
    proven: set[str] = field(default_factory=set)
    """Commits that the supervisor has seen on a remote."""
    _read: dict[Path, int] = field(default_factory=dict)
    _ends: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    _commits: dict[Path, list[str]] = field(default_factory=lambda: defaultdict(list))
    _late: list[str] = field(default_factory=list)
    _settled: list[tuple[str, str]] = field(default_factory=list)

    def endings(self, bead_uid: str) -> Mapping[int, str]:
        """Serial number of each ended attempt at a bead → reason."""
        for town in self.towns:
            self._read_bead(town / "streams" / bead_uid)
        return self._ends.get(bead_uid, {})

    def news(self) -> News:
        """Reads on, and tells what has not been told before."""
        for town in self.towns:
            for directory in sorted((town / "streams").glob("*")):
                self._read_bead(directory)
        news = News(tuple(self._late), tuple(self._settled))
        self._late.clear()
        self._settled.clear()
        return news

    def _read_bead(self, directory: Path) -> None:
        for path in sorted(directory.glob("*.jsonl"), key=_place):
            for event in self._read_on(path):
                self._take(path, event)

    def _take(self, path: Path, event: dict[str, Any]) -> None:
        kind, data = event["kind"], event["data"]
        ends, (serial, _) = self._ends[path.parent.name], _place(path)
        attempt = path.with_name(f"{serial}.jsonl")
        if kind in AGENTS_CALLS and serial in ends:
            self._late.append(f"{kind} was taken after the end {ends[serial]}: {path}, event {event['seq']}")
        if kind in NAMES_COMMIT and "commit" in data:
            self._commits[attempt].append(data["commit"])
            if kind == "pushed" or data.get("onRemote"):
                self.proven.add(data["commit"])
        elif kind == "ended":
            ends[serial] = data["reason"]
            self._settled += [(commit, str(path)) for commit in self._commits.pop(attempt, [])]

    def _read_on(self, path: Path) -> Iterator[dict[str, Any]]:
        start = self._read.get(path, 0)
        with suppress(OSError):
            if path.stat().st_size <= start:
                return
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read[path] = start + len(whole)
            yield from map(json.loads, whole.splitlines())


def _place(path: Path) -> tuple[int, int]:
    """Attempt and first event of a file: a long journal goes on in `<attempt>.<first event>.jsonl`."""
    attempt, first, *_ = f"{path.name.removesuffix('.jsonl')}.1".split(".")
    return int(attempt), int(first)
