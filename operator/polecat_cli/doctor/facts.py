"""What was seen of a system at one moment, and what is found wrong with it: the data between gathering and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from polecat_api.times import parse_time
from polecat_api.untrusted import Json, condition, section


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and what to do about it."""

    subject: str
    """What it is about, e.g. `polecat default/web-toast`."""
    problem: str
    advice: str

    def __str__(self) -> str:
        """One line, whatever the texts hold."""
        return " ".join(f"{self.subject}: {self.problem} → {self.advice}".split())


@dataclass(frozen=True, slots=True)
class Clocks:
    """This machine's and the API server's, read at the same moment."""

    here: datetime
    server: datetime | None
    """None when the server sends no `Date` header. In whole seconds."""
    round_trip: timedelta = timedelta()
    """How long the request took: by so much `here` may be wrong."""

    @property
    def now(self) -> datetime:
        """The time to judge ages by: the server's if it is known."""
        return self.server or self.here


@dataclass(frozen=True, slots=True)
class Access:
    """One right that an account should or should not have, and whether it has it."""

    account: str
    """E.g. `polecat-system/polecat-operator`."""
    namespace: str | None
    """None means all namespaces."""
    verb: str
    resource: str
    """E.g. `beads.polecat.dev`, with the subresource after a slash."""
    wanted: bool
    allowed: bool


@dataclass(frozen=True, slots=True)
class SavedRef:
    """A saved ref in a town's store."""

    rig: str
    ref: str
    commit: str
    on_remote: bool


@dataclass(frozen=True, slots=True)
class MarkedProcess:
    """A process of an agent, found by its marker."""

    pid: int
    uid: str
    """UID of the Polecat that it belongs to."""
    command: str


@dataclass(frozen=True, slots=True)
class Local:
    """What lies on the volume of the embedded town, and runs there."""

    directories: tuple[tuple[Path, str], ...] = ()
    """Directory of a worktree and the first 8 hex digits of its Polecat's UID."""
    lost: tuple[Path, ...] = ()
    """What was moved to `.lost` as it could not be read."""
    saved: tuple[SavedRef, ...] = ()
    processes: tuple[MarkedProcess, ...] = ()
    uids: frozenset[str] = frozenset()
    """UIDs of all Polecats, of every namespace, that there were before or after looking."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was seen. None stands for what this user may not see, or what is not there to be seen."""

    clocks: Clocks
    version: str = ""
    """Of the API server, e.g. `v1.36.3`."""
    crds: Mapping[str, Json] | None = None
    """Installed CRDs by name, e.g. `beads.polecat.dev`."""
    access: tuple[Access, ...] = ()
    operator_lease: Json | None = None
    operator_lease_known: bool = True
    """Whether the Lease could be looked for."""
    towns: tuple[Json, ...] = ()
    rigs: tuple[Json, ...] = ()
    beads: tuple[Json, ...] = ()
    polecats: tuple[Json, ...] = ()
    local: Local | None = None
    unknown: tuple[str, ...] = field(default=())
    """What could not be looked at, and why: sentences for people."""


def name_of(item: Json) -> str:
    """`<namespace>/<name>`."""
    return f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"


def at(item: Json, *path: str) -> Any:
    """The value at a path; None if there is none. Status may hold anything, as people can edit it."""
    value: Any = item
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def condition_of(item: Json, type_: str) -> Json | None:
    """The condition of this type, or None."""
    return condition(section(item, "status"), type_) or None


def time_at(item: Json, *path: str) -> datetime | None:
    """The moment at a path; None if there is none that can be read."""
    value = at(item, *path)
    try:
        return parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None


def seconds_text(seconds: float) -> str:
    """A length of time for people: `42 s`, `12 min`, `3 h`."""
    if seconds < 120:
        return f"{int(seconds)} s"
    return f"{int(seconds / 60)} min" if seconds < 7200 else f"{int(seconds / 3600)} h"
