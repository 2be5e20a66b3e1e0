"""One polecat's private repository and worktree, as they lie there. All Git here runs inside the polecat's domain."""

from __future__ import annotations

import asyncio
from pathlib import Path

from polecat_api.names import display_name
from polecat_town.domain.domain import (
    Command,
    Completed,
    agent_domain,
    agent_environment,
    describe_end,
    run_in_domain,
)
from polecat_town.domain.network import Network, open_network
from polecat_town.errors import WorkspaceError
from polecat_town.git import scripts
from polecat_town.git.store import Store
from polecat_town.git.types import WorkspaceState

GIT_SECONDS = 120.0
STATUS_LIMIT = 4096
OUTPUT_LIMIT = 65536
"""How many bytes of a script's output are kept, unless more are asked for."""
MAIL_DOMAIN = "polecat.dev"


class PolecatRepository:
    """`<rig_dir>/<name>/<uid8>/` of one polecat, as far as its own files go."""

    def __init__(
        self,
        store: Store,
        name: str,
        uid: str,
        branch: str,
        base_branch: str,
        base_commit: str,
        kilo: Path | None = None,
        network: Network | None = None,
    ) -> None:
        """`network` is that of the rig's commands; Git never has one here."""
        self.store = store
        self.name = name
        self.uid = uid
        self.branch = branch
        self.base_branch = base_branch
        self.base_commit = base_commit
        self.domain = agent_domain(store.rig_dir, name, kilo)
        self.network = network or open_network()
        self.directory = store.rig_dir / name / uid.replace("-", "")[:8]
        self.repository = self.directory / "repo.git"
        self.worktree = self.directory / "worktree"

    async def state(self) -> WorkspaceState:
        """HEAD, branch and uncommitted changes. Raises WorkspaceError when the worktree can't be read."""
        return await self._state(STATUS_LIMIT)

    async def _state(self, status_limit: int) -> WorkspaceState:
        done = await self.script(scripts.STATE, str(status_limit))
        if not done.ok:
            raise WorkspaceError(f"the worktree of {self.name} can't be read: {words_of(done)}")
        head, branch, status = (*done.output.split("\n", 2), "", "")[:3]
        return WorkspaceState(head=head or None, branch=branch or None, status=status.rstrip("\n"))

    async def is_dirty(self) -> bool:
        """Whether there are uncommitted changes. Raises WorkspaceError."""
        return (await self.state()).dirty

    async def head(self) -> str | None:
        """Commit of HEAD; None when there is none. Raises WorkspaceError."""
        return (await self._state(0)).head

    async def commit_all(self, message: str) -> str | None:
        """Commits everything on the branch, untracked files included; the new commit, or None if clean.

        Hooks and signing are left out. Raises WorkspaceError.
        """
        done = await self.script(scripts.COMMIT_ALL, message)
        if not done.ok:
            raise WorkspaceError(f"the changes of {self.name} could not be committed: {words_of(done)}")
        last = done.output.strip().rpartition("\n")[2]
        return last.removeprefix("commit ") if last.startswith("commit ") else None

    async def script(
        self, script: str, *arguments: str, timeout_seconds: float = GIT_SECONDS, output_limit: int = OUTPUT_LIMIT
    ) -> Completed:
        """Runs one of `scripts` in the domain. Raises DomainError when it can't be started."""
        person, address = self.committer()
        env = agent_environment(self.store.rig_dir, self.name) | {
            "LC_ALL": "C",
            "GIT_AUTHOR_NAME": person,
            "GIT_AUTHOR_EMAIL": address,
            "GIT_COMMITTER_NAME": person,
            "GIT_COMMITTER_EMAIL": address,
        }
        own = (str(self.repository), str(self.worktree), str(self.store.git_dir / "objects"))
        # a directory that the agent can't take away from under the command: not its worktree
        cwd = self.store.rig_dir / self.name
        await asyncio.to_thread(cwd.mkdir, parents=True, exist_ok=True, mode=0o700)
        command = Command(("sh", "-c", script, "sh", *own, *arguments), cwd, env)
        return await run_in_domain(
            self.domain, command, marker=self.uid, timeout_seconds=timeout_seconds, output_limit=output_limit
        )

    def committer(self) -> tuple[str, str]:
        """Name and address under which its commits are made."""
        return f"{display_name(self.name)} (polecat)", f"{self.name}@{MAIL_DOMAIN}"


def words_of(done: Completed) -> str:
    """What a command said, or how it ended when it said nothing."""
    return done.output.strip()[-1024:] or describe_end(done)
