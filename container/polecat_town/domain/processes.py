"""Finding and ending every process of a polecat."""

from __future__ import annotations

from pathlib import Path

MARKER = "POLECAT_UID"
"""Environment variable that all processes of a polecat carry: its UID."""


async def kill_marked(
    uid: str, grace_seconds: float, *, group: int | None = None, directory: Path | None = None
) -> int:
    """Ends all processes of a polecat: SIGTERM, and after the grace SIGKILL; gives how many there were.

    Found by the marker in their environment, as descendants of such, by process group, and by a working
    directory or open file in `directory` (the name's directory), for those that scrubbed their environment.
    """
    raise NotImplementedError
