"""The town's own copy of a rig's repository: the only one that talks to the remote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from polecat_town.git.types import (
    Credentials,
    DiffStat,
    Fetched,
    PushResult,
    Remote,
    RepositoryState,
    Saved,
)

if TYPE_CHECKING:
    from polecat_town.git.workspace import Workspace

__all__ = ["Credentials", "DiffStat", "Fetched", "PushResult", "Remote", "RepositoryState", "Saved", "Store"]


class Store:
    """`<rig_dir>/store.git`. One instance for each rig and process; all methods may run at the same time."""

    def __init__(self, rig_dir: Path, remote: Remote) -> None:
        self.rig_dir = rig_dir
        self.remote = remote

    def use(self, remote: Remote) -> None:
        """Goes on with changed URL, branch or credentials."""
        self.remote = remote

    async def probe(self) -> RepositoryState:
        """Reads the remote, looks for the default branch and blocking branches, tries a push as a dry run.

        Never raises for what the remote does; raises StoreError when the store itself can't be used.
        """
        raise NotImplementedError

    async def fetch(self, base_branch: str, bead_uid: str) -> Fetched:
        """Brings base branch and saved work of the bead; calls of the same moment share one fetch.

        Raises RepositoryError (unreachable, branch missing) or StoreError.
        """
        raise NotImplementedError

    async def take_over(self, workspace: Workspace) -> str | None:
        """Takes the worktree's HEAD into the store, under `refs/polecat/work/<uid>`; gives the commit.

        None when there is no commit beyond the base. Raises WorkspaceError when the private repository
        can't be read or what it holds is not sound; what was taken over before stays.
        """
        raise NotImplementedError

    async def work_commit(self, polecat_uid: str) -> str | None:
        """The commit that was last taken over from this polecat; None if there is none."""
        raise NotImplementedError

    async def push(self, commit: str, branch: str) -> PushResult:
        """Pushes a commit of the store to the bead's own branch, then asks the remote what it has."""
        raise NotImplementedError

    async def save(self, bead_uid: str, attempt: int, commit: str) -> Saved:
        """Keeps a commit under `refs/polecat/saved/<bead>/<attempt>`: in the store, then on the remote.

        May be called again. A ref that holds other work gets a neighbour (`…/2-1`) and is never overwritten.
        Raises StoreError only.
        """
        raise NotImplementedError

    async def diff_stat(self, base: str, head: str) -> DiffStat:
        """Commits, files and lines between two commits of the store."""
        raise NotImplementedError

    async def is_on_remote(self, commit: str) -> bool:
        """Whether some ref of the remote, asked now, holds the commit. Raises RepositoryError."""
        raise NotImplementedError

    async def release(self, polecat_uid: str) -> bool:
        """Drops the work ref of a polecat if the remote has its commits; False if it had to be kept."""
        raise NotImplementedError
