"""One polecat's private repository and worktree. All Git here runs inside the polecat's domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from polecat_town.domain.domain import Completed
from polecat_town.git.store import Store
from polecat_town.git.types import WorkspaceState


class Workspace:
    """`<rig_dir>/<name>/<uid8>/` of one polecat. Safe to make again for the same polecat at any time."""

    def __init__(
        self,
        store: Store,
        name: str,
        uid: str,
        branch: str,
        base_branch: str,
        base_commit: str,
        kilo: Path | None = None,
    ) -> None:
        self.store = store
        self.name = name
        self.uid = uid
        self.branch = branch
        self.base_branch = base_branch
        self.base_commit = base_commit
        self.directory = store.rig_dir / name / uid.replace("-", "")[:8]
        self.repository = self.directory / "repo.git"
        self.worktree = self.directory / "worktree"

    async def create(self, start_commit: str) -> str:
        """Makes repository and worktree, or puts right what is left over; gives the commit that HEAD is at.

        Work of this polecat found in the directory or in the store goes on; work that can't go on, and that
        of other polecats found under the name, is taken into the store before it is removed.
        Raises WorkspaceError.
        """
        raise NotImplementedError

    async def state(self) -> WorkspaceState:
        """HEAD, branch and uncommitted changes. Raises WorkspaceError when the worktree can't be read."""
        raise NotImplementedError

    async def is_dirty(self) -> bool:
        """Whether there are uncommitted changes."""
        raise NotImplementedError

    async def head(self) -> str | None:
        """Commit of HEAD; None when there is none."""
        raise NotImplementedError

    async def commit_all(self, message: str) -> str | None:
        """Commits everything on the branch, untracked files included; the new commit, or None if clean."""
        raise NotImplementedError

    async def run(self, command: str, timeout_seconds: float, extra_env: Mapping[str, str] | None = None) -> Completed:
        """`sh -c command` in the worktree, in the domain, with the agent's environment: checks and set-up."""
        raise NotImplementedError

    async def remove(self) -> None:
        """Deletes repository and worktree. End the polecat's processes and take its work over first."""
        raise NotImplementedError
