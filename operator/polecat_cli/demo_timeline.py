"""When each step on the way of a bead happened: from what was watched, and from the town's journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from polecat_api.times import parse_time

APPLIED = "applied"
CREATED = "polecat created"
SUCCEEDED = "Succeeded"
JOURNAL_STEPS: Mapping[str, str] = {
    "claimed": "claimed",
    "worktree": "worktree",
    "session": "process ready",
    "model-request": "first model request",
    "done-called": "done called",
    "pushed": "pushed and verified",
}
"""Kinds of events in the town's journal → names of steps."""
STEPS: Sequence[str] = (APPLIED, CREATED, *JOURNAL_STEPS.values(), SUCCEEDED)

Timeline = Mapping[str, datetime]
"""When each step happened; a step that has not is missing."""


def read_journal(streams: Path, bead_uid: str) -> dict[str, datetime]:
    """Steps in the journal of the latest attempt at a bead; a line that can't be read is left out."""
    journals = sorted((streams / bead_uid).glob("*.jsonl"), key=lambda path: (len(path.stem), path.stem))
    if not journals:
        return {}
    try:
        return steps_in(journals[-1].read_text("utf-8", errors="replace").splitlines())
    except OSError:
        return {}


def steps_in(lines: Iterable[str]) -> dict[str, datetime]:
    """The first time of each step; of `done called` and `pushed`, which may be refused at first, the last."""
    found: dict[str, datetime] = {}
    for line in lines:
        try:
            event = json.loads(line)
            step, when = JOURNAL_STEPS.get(event["kind"]), parse_time(event["time"])
        except (ValueError, KeyError, TypeError):
            continue
        if step is not None and (step not in found or step in ("done called", "pushed and verified")):
            found[step] = when
    return found


def offsets(timeline: Timeline) -> list[float | None]:
    """Seconds since `applied` for each of STEPS; None for what has not happened."""
    start = timeline.get(APPLIED)
    return [
        (timeline[step] - start).total_seconds() if start is not None and step in timeline else None for step in STEPS
    ]
