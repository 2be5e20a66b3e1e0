"""What an earlier process left under a polecat's name: goes on with it, or brings it to safety and clears it away."""

from __future__ import annotations

import logging
import os
import re
import time
from pathlib import Path

from polecat_town.domain.domain import remove_tree
from polecat_town.errors import DomainError, WorkspaceError
from polecat_town.git import scripts
from polecat_town.git.private import PolecatRepository
from polecat_town.git.refs import KEPT

LOST_FOLDER = ".lost"
"""Below the rig's directory: repositories that could not be read, moved away and never deleted by us."""
_LINK = ".git"
"""All that is in a worktree before Git has written the first file of the project: where its repository is."""
_UID8 = re.compile(r"^[0-9a-f]{8}$")
_log = logging.getLogger(__name__)


async def settle_leftovers(workspace: PolecatRepository) -> str | None:
    """Clears the name's directory; gives HEAD when the polecat's own worktree was found and goes on.

    Raises WorkspaceError, StoreError.
    """
    own = workspace.directory
    for directory in _others(own):
        await _put_away(_stranger(workspace, directory))
    if not os.path.lexists(own):
        return None
    try:
        head = await _mended_head(workspace)
    except WorkspaceError as error:
        _log.warning("worktree of %s is made anew: %s", workspace.name, error)
        await _put_away(workspace)
        return None
    return await _go_on(workspace, head)


async def _mended_head(workspace: PolecatRepository) -> str:
    """Puts the worktree right; gives its HEAD. Raises WorkspaceError when it can't be used any more."""
    done = await workspace.script(scripts.MEND, workspace.branch)
    if not done.ok:
        raise WorkspaceError(done.output.strip() or f"{workspace.directory} is only half made")
    head = await workspace.head()
    if head is None:
        raise WorkspaceError(f"{workspace.worktree} has no commit")
    return head


async def _go_on(workspace: PolecatRepository, head: str) -> str:
    """Goes on with a sound worktree, moved forward if the store has more of the same work."""
    store = workspace.store
    before = await store.work_commit(workspace.uid)
    await store.take_over(workspace)
    if before is None or before == head or await store.refs.is_ancestor(before, head):
        return head
    if await store.refs.is_ancestor(head, before):
        moved = await workspace.script(scripts.FAST_FORWARD, before)
        if moved.ok:
            return before
    await store.refs.set(f"{KEPT}{workspace.uid}/earlier/{before[:12]}", before)
    return head


async def rescue(workspace: PolecatRepository, message: str) -> str | None:
    """Puts the worktree right, commits what is open in it, and takes all over; the commit, or None without work.

    Raises WorkspaceError, DomainError, StoreError when something can't be read.
    """
    if not os.path.lexists(workspace.directory):
        return None
    await _mended_head(workspace)
    await workspace.commit_all(message)
    return await workspace.store.take_over(workspace)


async def remove(workspace: PolecatRepository) -> None:
    """Deletes a polecat's directory if all that is in it is in the store; otherwise see `_put_away`."""
    if not os.path.lexists(workspace.directory):
        return
    try:
        state = await workspace.state()
        known = (workspace.base_commit, await workspace.store.work_commit(workspace.uid))
        settled = not state.dirty and state.head in known
    except WorkspaceError:
        settled = False
    if settled:
        await remove_tree(workspace.store.rig_dir, workspace.name, workspace.directory)
    else:
        await _put_away(workspace)


async def _put_away(workspace: PolecatRepository) -> None:
    """Takes over what can be read, and removes the directory; moves it aside when there may be more in it."""
    directory = workspace.directory
    if not directory.is_symlink() and await _rescued(workspace):
        await remove_tree(workspace.store.rig_dir, workspace.name, directory)
        return
    lost = workspace.store.rig_dir / LOST_FOLDER
    target = lost / f"{workspace.name}-{directory.name}-{time.time_ns()}"
    try:
        lost.mkdir(mode=0o700, exist_ok=True)
        directory.rename(target)
    except OSError as error:
        raise WorkspaceError(f"{directory} is in the way and can't be moved: {error.strerror}") from error
    _log.warning("%s could not be read and was moved to %s", directory, target)


async def _rescued(workspace: PolecatRepository) -> bool:
    """Whether nothing can be lost by removing the directory: all is in the store, or there was nothing."""
    if not _has_objects(workspace.repository):
        return not _has_files(workspace.worktree, but=_LINK)
    try:
        await rescue(workspace, "Unfinished work, found when the worktree was cleared away")
    except (WorkspaceError, DomainError) as error:
        _log.warning("work in %s could not be taken over: %s", workspace.directory, error)
        return False
    return True


def _stranger(workspace: PolecatRepository, directory: Path) -> PolecatRepository:
    """The workspace of another polecat whose directory was left behind; only the start of its UID is known."""
    return PolecatRepository(workspace.store, workspace.name, directory.name, workspace.branch, "", "")


def _others(own: Path) -> list[Path]:
    try:
        return [path for path in sorted(own.parent.iterdir()) if _UID8.match(path.name) and path.name != own.name]
    except OSError:
        return []


def _has_objects(repository: Path) -> bool:
    """Whether a repository holds objects of its own."""
    folders = (path for path in (repository / "objects").glob("*") if path.name != "info")
    return any(_has_files(folder) for folder in folders)


def _has_files(directory: Path, but: str = "") -> bool:
    """Whether there is any file below a directory, other than one of the name `but` in itself."""
    return any(set(files) - {but if Path(folder) == directory else ""} for folder, _, files in os.walk(directory))
