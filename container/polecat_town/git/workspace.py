"""One polecat's private repository and worktree. All Git here runs inside the polecat's domain."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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
from polecat_town.errors import WorkspaceError
from polecat_town.git import leftovers, scripts
from polecat_town.git.store import Store
from polecat_town.git.types import WorkspaceState

GIT_SECONDS = 120.0
CHECKOUT_SECONDS = 600.0
STATUS_LIMIT = 4096
MAIL_DOMAIN = "polecat.dev"


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
        self.domain = agent_domain(store.rig_dir, name, kilo)
        self.directory = store.rig_dir / name / uid.replace("-", "")[:8]
        self.repository = self.directory / "repo.git"
        self.worktree = self.directory / "worktree"

    async def create(self, start_commit: str) -> str:
        """Makes repository and worktree, or puts right what is left over; gives the commit that HEAD is at.

        Work of this polecat found in the directory or in the store goes on; work that can't go on, and that
        of other polecats found under the name, is taken into the store before it is removed.
        Raises WorkspaceError, StoreError.
        """
        await self.store.open()
        for commit in sorted({start_commit, self.base_commit}):
            if await self.store.refs.get(commit) is None:
                raise WorkspaceError(f"the commit {commit} is not in the town's store; fetch it first")
        head = await leftovers.settle_leftovers(self)
        if head is not None:
            return head
        start = await self.store.work_commit(self.uid) or start_commit
        person, address = self._committer()
        arguments = (self.base_branch, self.base_commit, self.branch, start, person, address)
        done = await self.script(scripts.CREATE, *arguments, timeout_seconds=CHECKOUT_SECONDS)
        if not done.ok:
            raise WorkspaceError(f"the worktree of {self.name} could not be made: {_words(done)}")
        return start

    async def state(self) -> WorkspaceState:
        """HEAD, branch and uncommitted changes. Raises WorkspaceError when the worktree can't be read."""
        return await self._state(STATUS_LIMIT)

    async def _state(self, status_limit: int) -> WorkspaceState:
        done = await self.script(scripts.STATE, str(status_limit))
        if not done.ok:
            raise WorkspaceError(f"the worktree of {self.name} can't be read: {_words(done)}")
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
            raise WorkspaceError(f"the changes of {self.name} could not be committed: {_words(done)}")
        last = done.output.strip().rpartition("\n")[2]
        return last.removeprefix("commit ") if last.startswith("commit ") else None

    async def run(self, command: str, timeout_seconds: float, extra_env: Mapping[str, str] | None = None) -> Completed:
        """`sh -c command` in the worktree, in the domain, with the agent's environment: checks and set-up.

        Raises DomainError when it can't be started.
        """
        env = {**agent_environment(self.store.rig_dir, self.name), **(extra_env or {})}
        line = Command(("sh", "-c", command), self.worktree, env)
        return await run_in_domain(self.domain, line, marker=self.uid, timeout_seconds=timeout_seconds)

    async def rescue(self, message: str) -> str | None:
        """Commits everything with this message and takes it over into the store; the commit, or None without work.

        Puts a damaged worktree right first. End the polecat's processes before. Raises WorkspaceError,
        DomainError or StoreError when something can't be read; `remove` then moves the directory aside.
        """
        return await leftovers.rescue(self, message)

    async def remove(self) -> None:
        """Deletes repository and worktree. End the polecat's processes first.

        Work that is not in the store is taken over before; what can't be read is moved to `<rig_dir>/.lost/`
        and never deleted. Raises DomainError, WorkspaceError, StoreError.
        """
        await leftovers.remove(self)

    async def script(self, script: str, *arguments: str, timeout_seconds: float = GIT_SECONDS) -> Completed:
        """Runs one of `scripts` in the domain. Raises DomainError when it can't be started."""
        person, address = self._committer()
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
        return await run_in_domain(self.domain, command, marker=self.uid, timeout_seconds=timeout_seconds)

    def _committer(self) -> tuple[str, str]:
        return f"{display_name(self.name)} (polecat)", f"{self.name}@{MAIL_DOMAIN}"


def _words(done: Completed) -> str:
    return done.output.strip()[-1024:] or describe_end(done)
