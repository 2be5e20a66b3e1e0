"""While the agent works: asking it to go on, and keeping its commits safe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from polecat_town import metrics
from polecat_town.errors import TownError
from polecat_town.life.prompts import nudge_prompt
from polecat_town.life.starting import open_workspace, send
from polecat_town.streams.events import Kind

if TYPE_CHECKING:
    from polecat_town.life.life import Life


async def nudge(life: Life) -> None:
    """Asks an agent that has stopped, or is quiet, to go on."""
    number = life.state.nudges + 1
    idle = life.turn_over.is_set()
    life.update(nudges=number)
    metrics.NUDGES.inc()
    life.journal.append(Kind.NUDGED, number=number, why="idle" if idle else "quiet")
    life.nudged_at = time.monotonic()
    await send(life, nudge_prompt(number, life.services.settings.nudges, idle=idle))


async def checkpoint(life: Life) -> None:
    """Takes the commits made so far into the store."""
    life.checkpoint_at = time.monotonic()
    try:
        await take_checkpoint(life, "")
    except TownError as error:
        # The agent may be in the middle of a rebase; the next time comes soon.
        life.log.warning("checkpoint not taken: %s", error)


async def take_checkpoint(life: Life, note: str) -> str | None:
    """The commit that was taken over; None when there is none. Raises what the workspace raises."""
    workspace = await open_workspace(life)
    commit = await workspace.store.take_over(workspace)
    if commit is not None and commit != life.state.head_commit:
        life.journal.append(Kind.CHECKPOINT, commit=commit, note=note)
        life.update(head_commit=commit)
    return commit
