"""The worktree that a polecat works in: made, gone on with, saved, removed."""

from __future__ import annotations

from collections.abc import Mapping

from polecat_town.domain.domain import Command, Completed, agent_environment, run_in_domain
from polecat_town.errors import WorkspaceError
from polecat_town.git import leftovers, scripts
from polecat_town.git.private import PolecatRepository, words_of
from polecat_town.git.timing import timed

CHECKOUT_SECONDS = 600.0


class Workspace(PolecatRepository):
    """`<rig_dir>/<name>/<uid8>/` of one polecat. Safe to make again for the same polecat at any time."""

    async def create(self, start_commit: str) -> str:
        """Makes repository and worktree, or puts right what is left over; gives the commit that HEAD is at.

        Work of this polecat found in the directory or in the store goes on; work that can't go on, and that
        of other polecats found under the name, is taken into the store before it is removed.
        Raises WorkspaceError, StoreError.
        """
        with timed("worktree"):
            return await self._create(start_commit)

    async def _create(self, start_commit: str) -> str:
        await self.store.open()
        for commit in sorted({start_commit, self.base_commit}):
            if await self.store.refs.get(commit) is None:
                raise WorkspaceError(f"the commit {commit} is not in the town's store; fetch it first")
        head = await leftovers.settle_leftovers(self)
        if head is not None:
            return head
        start = await self.store.work_commit(self.uid) or start_commit
        person, address = self.committer()
        arguments = (self.base_branch, self.base_commit, self.branch, start, person, address)
        done = await self.script(scripts.CREATE, *arguments, timeout_seconds=CHECKOUT_SECONDS)
        if not done.ok:
            raise WorkspaceError(f"the worktree of {self.name} could not be made: {words_of(done)}")
        return start

    async def run(self, command: str, timeout_seconds: float, extra_env: Mapping[str, str] | None = None) -> Completed:
        """`sh -c command` in the worktree, in the domain, with the agent's environment: checks and set-up.

        Raises DomainError when it can't be started.
        """
        env = {**agent_environment(self.store.rig_dir, self.name, self.network), **(extra_env or {})}
        line = Command(("sh", "-c", command), self.worktree, env)
        domain = self.domain.at_work(self.network)
        return await run_in_domain(domain, line, marker=self.uid, timeout_seconds=timeout_seconds)

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
