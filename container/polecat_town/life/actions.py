"""Which function carries out which action."""

from __future__ import annotations

from polecat_town.life import ending, publishing, running, starting
from polecat_town.life.life import Perform
from polecat_town.life.steps import Action

ACTIONS: dict[Action, Perform] = {
    Action.FETCH: starting.fetch,
    Action.MAKE_WORKTREE: starting.make_worktree,
    Action.START_PROCESS: starting.start_process,
    Action.OPEN_SESSION: starting.open_session,
    Action.PROMPT: starting.prompt,
    Action.NUDGE: running.nudge,
    Action.CHECKPOINT: running.checkpoint,
    Action.PUBLISH: publishing.publish,
    Action.STOP: ending.stop,
    Action.SETTLE: ending.settle,
    Action.REPORT: ending.report,
    Action.REMOVE: ending.remove,
    Action.FINISH: ending.finish,
}
