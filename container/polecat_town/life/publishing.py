"""`done`: checks, push, and the proof that the remote has the work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from polecat_api.bead import BeadResult
from polecat_api.conditions import Reason
from polecat_town.errors import DomainError, TownError, WorkspaceError
from polecat_town.git.types import PushResult
from polecat_town.git.workspace import Workspace
from polecat_town.life.starting import find_rig, open_workspace
from polecat_town.life.state import DoneCall, End, Step
from polecat_town.streams.events import Kind

if TYPE_CHECKING:
    from polecat_town.life.life import Life

PUSH_TRIES = 3
_PUSH_RETRY_SECONDS = 1.0
_SLOW_SECONDS = 1.5
"""Publishing that takes longer is told to the API server."""
_OUTPUT_TAIL = 4000


async def publish(life: Life) -> None:
    """Brings the work to the remote, or tells the agent why it can't be done yet."""
    call = life.state.done
    if call is None:
        life.update(step=Step.RUNNING)
        return
    life.update(step=Step.PUBLISHING)
    async with _told_when_slow(life):
        refusal = await _try(life, call)
    if refusal is not None:
        _refuse(life, refusal)


def _unreadable(error: TownError) -> str:
    return (
        f"Not accepted: your worktree can't be read ({error}). Put it right (it must be a Git worktree on your "
        "branch), then call done again."
    )


@contextlib.asynccontextmanager
async def _told_when_slow(life: Life) -> AsyncIterator[None]:
    async def tell() -> None:
        await asyncio.sleep(_SLOW_SECONDS)
        life.live = replace(life.live, publishing=True)
        life.report_soon()

    teller = life.spawn(tell(), "publishing notice")
    try:
        yield
    finally:
        teller.cancel()
        life.live = replace(life.live, publishing=False)


async def _try(life: Life, call: DoneCall) -> str | None:
    """Why it was refused; None when it is settled, in whichever way."""
    workspace = await open_workspace(life)
    await life.services.rigs.learn_secrets(life.identity.rig)
    try:
        state = await workspace.state()
    except (WorkspaceError, DomainError) as error:
        return _unreadable(error)
    if state.dirty:
        return (
            "Not accepted: there are uncommitted changes. Commit them (or remove what does not belong to the work, "
            f"or list it in .gitignore), then call done again.\n{state.status}"
        )
    if state.branch != workspace.branch:
        where = f"on {state.branch}" if state.branch else "not on any branch"
        return (
            f"Not accepted: you are {where}, but the work belongs on {workspace.branch}. Bring your commits there "
            "(`git switch`, `git merge` or `git cherry-pick`), then call done again."
        )
    try:
        commit = await workspace.store.take_over(workspace)
    except (WorkspaceError, DomainError) as error:
        return _unreadable(error)
    if commit is None:
        if not call.no_changes:
            return (
                "Not accepted: there is no commit on your branch. Commit your work and call done again; if nothing "
                "has to be changed, call done with no_changes set."
            )
        life.update(settled=True, result=BeadResult(summary=call.summary[:4096]))
        life.end_with(End(reason=Reason.NO_CHANGES, message=call.summary[:4096]))
        _answer(life, "Accepted. The task is over.")
        return None
    life.update(head_commit=commit)
    if (failed := await _check(life, workspace)) is not None:
        return failed
    await _push(life, workspace, commit, call)
    return None


async def _check(life: Life, workspace: Workspace) -> str | None:
    for command in find_rig(life).spec.checks:
        done = await workspace.run(command, life.services.settings.check_seconds)
        output = life.redactor.text(done.output[-_OUTPUT_TAIL:])
        life.journal.append(Kind.CHECK, command=command, passed=done.ok, output=output)
        if not done.ok:
            how = "took too long" if done.timed_out else f"ended with {done.exit_code or done.signal}"
            return (
                f"Not accepted: the check `{command}` {how}. Mend it, commit, and call done again. "
                f"The end of its output:\n{output}"
            )
    return None


async def _push(life: Life, workspace: Workspace, commit: str, call: DoneCall) -> None:
    result = await _push_with_retries(life, workspace, commit)
    if not result.ok:
        life.end_with(End(reason=Reason.PUBLISH_FAILED, message=result.message[:4096]))
        _answer(life, "The work could not be published, which is not your fault. It is kept. Stop working.")
        return
    counted = await workspace.store.diff_stat(life.state.base_commit or commit, commit)
    life.journal.append(Kind.PUSHED, commit=commit, branch=workspace.branch)
    life.update(
        step=Step.PUBLISHED,
        published_commit=commit,
        settled=True,
        result=BeadResult(
            summary=call.summary[:4096],
            commits=counted.commits,
            files_changed=counted.files_changed,
            insertions=counted.insertions,
            deletions=counted.deletions,
        ),
    )
    life.end_with(End(reason=Reason.DONE, message=f"{workspace.branch} is at {commit} on the remote"))
    _answer(life, "Accepted: the work is published. The task is over.")


async def _push_with_retries(life: Life, workspace: Workspace, commit: str) -> PushResult:
    for number in range(1, PUSH_TRIES + 1):
        # Through the registry, so that credentials changed meanwhile are used.
        store = await life.services.rigs.store(life.identity.rig)
        result = await store.push(commit, workspace.branch)
        if result.ok or number == PUSH_TRIES:
            break
        life.log.warning("push refused (%s): %s", result.kind, result.message)
        await asyncio.sleep(_PUSH_RETRY_SECONDS * 3 ** (number - 1))
    return result


def _refuse(life: Life, why: str) -> None:
    """Back to work. If the agent that called is gone, the one that goes on is told."""
    life.journal.append(Kind.REFUSED, why=why)
    heard = life.agent is not None and not life.agent.exited and life.done_answer is not None
    if heard:
        life.update(step=Step.RUNNING, done=None)
        _answer(life, why)
    else:
        life.update(step=Step.FETCHED, done=None, refusal=why)


def _answer(life: Life, text: str) -> None:
    waiting, life.done_answer = life.done_answer, None
    if waiting is not None and not waiting.done():
        waiting.set_result(text)
