"""The API server's audit log: who changed which field of which object, held against the table of writers.

Nothing here asks the API server: what it has written down, one JSON object for each request, goes in.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polecat_api import GROUP
from polecat_api.fields import CONDITION_WRITERS, OWNERSHIP

Json = dict[str, Any]
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Version:
    """An object of ours as it was stored, and the account that sent the request."""

    number: int
    """The resource version: what was stored later has a higher one."""
    time: str
    """When the request was answered; sorts as text."""
    who: str
    item: Json


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs from the version before."""

    item: str
    """Kind, namespace and name."""
    path: str
    """With the entry of a list named: `status.pods[main-0].ready`, `status.conditions[Ready]`."""
    field: str
    """As the table has it: `Town.status.pods[].ready`."""
    who: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.who} changed {self.path} of {self.item} from {self.before!r} to {self.after!r}"


def read_audit_log(path: Path) -> list[Json]:
    """All whole lines: the last one may still be in the making."""
    text = path.read_bytes()
    return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def who_sent(entry: Json) -> str:
    """Name of the account."""
    return str(entry["user"]["username"])


def is_refused(entry: Json) -> bool:
    """Whether the account had no right to what it asked for."""
    return bool(entry.get("responseStatus", {}).get("code") in (401, 403))


def versions(entries: Iterable[Json]) -> dict[str, list[Version]]:
    """UID → all stored versions of an object of ours, oldest first; repeated answers once."""
    found: dict[str, dict[int, Version]] = defaultdict(dict)
    for entry in entries:
        item = entry.get("responseObject") or {}
        if entry.get("objectRef", {}).get("apiGroup") != GROUP or entry["verb"] not in WRITES:
            continue
        if "dryRun=" in entry["requestURI"] or not str(item.get("apiVersion", "")).startswith(f"{GROUP}/"):
            continue
        meta, number = item["metadata"], int(item["metadata"]["resourceVersion"])
        # A request that changes nothing is answered with the version that somebody else has stored.
        known = found[meta["uid"]].get(number)
        if known is None or entry["stageTimestamp"] < known.time:
            found[meta["uid"]][number] = Version(number, entry["stageTimestamp"], who_sent(entry), item)
    return {uid: [each for _, each in sorted(numbered.items())] for uid, numbered in found.items()}


def changes(entries: Iterable[Json]) -> Iterator[Change]:
    """Every change of every field of spec and status, object after object."""
    for stored in versions(entries).values():
        before: dict[str, tuple[str, Any]] = {}
        for version in stored:
            meta, kind = version.item["metadata"], version.item["kind"]
            name = f"{kind} {meta['namespace']}/{meta['name']}"
            now = dict(_fields(kind, version.item))
            for path in sorted(before.keys() | now.keys()):
                field, old = before.get(path, ("", _MISSING))
                field, new = now.get(path, (field, _MISSING))
                if old != new:
                    yield Change(name, path, field, version.who, _shown(old), _shown(new))
            before = now


def writer_of(change: Change) -> str | None:
    """Who may write the field, by the table; None if the table does not have it."""
    if (own := CONDITION_WRITERS.get(f"{change.item.split()[0]}.{change.path}")) is not None:
        return own
    row = OWNERSHIP.get(change.field)
    return row.writer if row is not None else None


def broken(found: Iterable[Change], roles: Mapping[str, str]) -> list[str]:
    """Changes by others than the one writer. `roles`: account → its word in the table."""
    return [
        f"{change} ({change.field} belongs to {writer_of(change) or 'nobody'})"
        for change in found
        if roles.get(change.who, change.who) != writer_of(change)
    ]


def _fields(kind: str, item: Json) -> Iterator[tuple[str, tuple[str, Any]]]:
    for part in ("spec", "status"):
        if part in item:
            yield from _leaves(part, f"{kind}.{part}", item[part])


def _leaves(path: str, field: str, value: Any) -> Iterator[tuple[str, tuple[str, Any]]]:
    if field.endswith(".conditions") and isinstance(value, list):
        for each in value:
            yield f"{path}[{each['type']}]", (field, each)
    elif field in OWNERSHIP:
        yield path, (field, value)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(f"{path}.{key}", f"{field}.{key}", child)
    elif isinstance(value, list) and all(isinstance(each, dict) and "name" in each for each in value):
        for each in value:
            yield from _leaves(f"{path}[{each['name']}]", f"{field}[]", each)
    else:
        yield path, (field, value)


def _shown(value: Any) -> Any:
    return None if value is _MISSING else value
