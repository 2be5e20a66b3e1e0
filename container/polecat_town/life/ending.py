"""After the end: stop the processes, make the work safe, report, remove."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from polecat_api.bead import BeadResult
from polecat_kube.events import post_event
from polecat_kube.resources import BEAD
from polecat_town import metrics
from polecat_town.domain.domain import remove_tree
from polecat_town.errors import DomainError, RepositoryError, StoreError, WorkspaceError
from polecat_town.finalizer import drop_finalizer
from polecat_town.git.types import Saved
from polecat_town.life.prompts import rescue_message
from polecat_town.life.starting import drop_agent, open_workspace
from polecat_town.life.state import Step
from polecat_town.pod.volume import check_volume
from polecat_town.streams.events import Kind

if TYPE_CHECKING:
    from polecat_town.life.life import Life

_LAST_WORDS_SECONDS = 5.0
"""How long the agent may take to hear that its work is accepted. A busy town once needed more than a second, and the
stream then ended in the middle of the call."""
COMPONENT = "polecat-town"


async def stop(life: Life) -> None:
    """Ends every process of the polecat, those that it has hidden too."""
    if life.state.end is not None and life.state.end.success and life.agent is not None and not life.agent.exited:
        # The answer to `done` is on its way; the agent's last words are worth a moment.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await life.turn_over.wait()
    identity = life.identity
    alone = life.services.name_is_free(identity.rig, identity.name, identity.uid)
    directory = life.services.settings.rig_dir(identity.rig) / identity.name
    await drop_agent(life, directory if alone else None)


async def settle(life: Life) -> None:
    """Commits and saves what is not on the remote. Comes back only when nothing can be lost any more."""
    if life.state.published_commit is not None or life.state.base_commit is None:
        life.update(settled=True)
        return
    workspace = await open_workspace(life)
    commit: str | None = None
    try:
        commit = await workspace.rescue(rescue_message(life.state))
    except (WorkspaceError, DomainError) as error:
        if not check_volume(life.services.settings.data_dir, 0).ok:
            raise  # nothing is wrong with the worktree; it waits until there is room
        # What the agent did to its own directory; commits taken over before are still there.
        life.log.warning("worktree can't be read at the end: %s", error)
    commit = commit or await workspace.store.work_commit(life.identity.uid)
    if commit is None or commit in (life.state.base_commit, life.state.start_commit):
        life.update(settled=True, head_commit=commit or life.state.head_commit)
        return
    await life.services.rigs.renew(life.identity.rig)  # they may have been changed since the last push or fetch
    saved = await workspace.store.save(life.identity.bead_uid, life.identity.attempt, commit)
    life.journal.append(Kind.SAVED, commit=saved.commit, ref=saved.ref, onRemote=saved.on_remote)
    metrics.SAVES.labels("remote" if saved.on_remote else "store").inc()
    result: BeadResult | None = None
    try:
        counted = await workspace.store.diff_stat(life.state.base_commit, commit)
        result = BeadResult(
            commits=counted.commits,
            files_changed=counted.files_changed,
            insertions=counted.insertions,
            deletions=counted.deletions,
        )
    except StoreError as error:
        life.log.warning("saved work not counted: %s", error)
    life.update(
        settled=True,
        head_commit=commit,
        saved_commit=saved.commit,
        saved_ref=saved.ref,
        save_message=_save_message(saved),
        result=result,
    )
    await _tell_bead(life, saved)


def _save_message(saved: Saved) -> str:
    if saved.on_remote:
        return f"the work is saved as {saved.ref}"
    return f"the work is saved as {saved.ref} in the town only: {saved.message}"


async def _tell_bead(life: Life, saved: Saved) -> None:
    identity = life.identity
    await post_event(
        life.services.api,
        BEAD,
        identity.namespace,
        identity.bead,
        identity.bead_uid,
        type_="Normal" if saved.on_remote else "Warning",
        reason="WorkSaved",
        message=f"{identity.object_name}: {_save_message(saved)} ({saved.commit})",
        component=COMPONENT,
        now=datetime.now(UTC),
    )


async def report(life: Life) -> None:
    """Tells the API server how it ended."""
    await life.reporter.report()
    life.update(reported=True)


async def remove(life: Life) -> None:
    """Deletes worktree and home. All of the work is safe by now."""
    identity = life.identity
    if life.state.base_commit is not None:
        workspace = await open_workspace(life)
        await workspace.remove()
        try:
            await workspace.store.release(identity.uid)
        except (RepositoryError, StoreError) as error:
            # The ref stays; it costs nothing, and the next fetch of the rig may release it.
            life.log.warning("work ref kept: %s", error)
    settings = life.services.settings
    if life.services.name_is_free(identity.rig, identity.name, identity.uid):
        rig_dir = settings.rig_dir(identity.rig)
        home = rig_dir / identity.name / "home"
        if home.exists():
            await remove_tree(rig_dir, identity.name, home)
    settings.log_file(identity.uid).unlink(missing_ok=True)
    life.update(step=Step.REMOVED)


async def finish(life: Life) -> None:
    """Takes the finalizer off, so that the name is free again, and forgets the polecat."""
    await drop_finalizer(life.services.api, life.polecat)
    life.services.settings.state_file(life.identity.uid).unlink(missing_ok=True)
