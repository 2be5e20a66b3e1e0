"""The town's own copy of a rig's repository: the only one that talks to the remote."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from polecat_api.branches import work_ref
from polecat_town.errors import StoreError, WorkspaceError
from polecat_town.git.batch import Batch
from polecat_town.git.command import read_git
from polecat_town.git.fetch import Wanted, fetch_all, fetched_for
from polecat_town.git.probe import probe
from polecat_town.git.publish import publish, save
from polecat_town.git.refs import KEPT, StoreRefs
from polecat_town.git.remote import RemoteGit
from polecat_town.git.takeover import take_over
from polecat_town.git.timing import timed
from polecat_town.git.types import (
    Credentials,
    DiffStat,
    Fetched,
    PrivateRepository,
    PushResult,
    Remote,
    RepositoryState,
    Saved,
)
from polecat_town.metrics import GIT_FAILURES, PUSHES

__all__ = ["Credentials", "DiffStat", "Fetched", "PushResult", "Remote", "RepositoryState", "Saved", "Store"]

_SETTINGS = (
    ("gc.auto", "0"),  # polecats' repositories borrow its objects: nothing may ever be thrown away under them
    ("gc.pruneExpire", "never"),
    ("gc.reflogExpire", "never"),
    ("gc.reflogExpireUnreachable", "never"),
    ("core.logAllRefUpdates", "always"),
)


class Store:
    """`<rig_dir>/store.git`. One instance for each rig and process; all methods may run at the same time."""

    def __init__(self, rig_dir: Path, remote: Remote) -> None:
        self.rig_dir = rig_dir.resolve()
        self.git_dir = self.rig_dir / "store.git"
        self.remote = remote
        self.refs = StoreRefs(self.git_dir)
        self._opened = False
        self._opening = asyncio.Lock()
        self._batch = Batch(self._fetch_all)

    def use(self, remote: Remote) -> None:
        """Goes on with changed URL, branch or credentials."""
        self.remote = remote

    async def open(self) -> None:
        """Makes the store if there is none, and removes what a killed process left in it. Raises StoreError.

        All other methods that talk to the remote, and `Workspace.create`, do this by themselves.
        """
        async with self._opening:
            if self._opened:
                return
            try:
                await self._open()
            except OSError as error:
                raise StoreError(f"the town's data volume can't be used: {error.strerror}: {error.filename}") from error
            self._opened = True

    async def _open(self) -> None:
        self.rig_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self.rig_dir.glob(".store-*"):
            shutil.rmtree(left, ignore_errors=True)
        if (self.git_dir / "HEAD").exists():
            # nobody else uses the store, and we have not begun: a lock file is that of a process that was killed
            for lock in (*self.git_dir.glob("*.lock"), *self.git_dir.glob("refs/**/*.lock")):
                lock.unlink(missing_ok=True)
            return
        with tempfile.TemporaryDirectory(dir=self.rig_dir, prefix=".store-") as folder:
            fresh = Path(folder) / "store.git"
            await read_git(fresh, "init", "--quiet", "--bare", "--template=", str(fresh))
            for key, value in _SETTINGS:
                await read_git(fresh, "config", key, value)
            fresh.rename(self.git_dir)

    async def probe(self) -> RepositoryState:
        """Reads the remote, looks for the default branch and blocking branches, tries a push as a dry run.

        Never raises for what the remote does; raises StoreError when the store itself can't be used.
        """
        await self.open()
        with timed("probe"):
            found = await probe(self.remote, self._git(), self.refs)
        if not found.ok:
            GIT_FAILURES.labels("probe").inc()
        return found

    async def fetch(self, base_branch: str, bead_uid: str) -> Fetched:
        """Brings base branch and saved work of the bead; calls of the same moment share one fetch.

        Raises RepositoryError (unreachable, branch missing) or StoreError.
        """
        await self.open()
        item = Wanted(base_branch, bead_uid)
        with timed("fetch"):
            seen = await self._batch.join(item)
            return await fetched_for(self.refs, seen, item)

    async def take_over(self, workspace: PrivateRepository) -> str | None:
        """Takes the worktree's HEAD into the store, as the polecat's work (`work_ref`); gives the commit.

        Other branches and stashes come along, under `refs/polecat/kept/<uid>/`. None when there is no commit
        beyond the base. Raises WorkspaceError when the private repository can't be read or what it holds is
        not sound; what was taken over before stays.
        """
        with timed("takeover"):
            head = await workspace.head()
            if head is None:
                raise WorkspaceError(f"{workspace.worktree} has no commit that could be taken over")
            repository, domain, uid = workspace.repository, workspace.domain, workspace.uid
            return await take_over(self.git_dir, self.refs, repository, domain, uid, head, workspace.base_commit)

    async def work_commit(self, polecat_uid: str) -> str | None:
        """The commit that was last taken over from this polecat; None if there is none."""
        return await self.refs.get(work_ref(polecat_uid))

    async def push(self, commit: str, branch: str) -> PushResult:
        """Pushes a commit of the store to the bead's own branch, then asks the remote what it has.

        Raises RepositoryError (its Secret or ssh is missing, or can't be used) and StoreError only.
        """
        await self.open()
        with timed("push"):
            result = await publish(self._git(), self.refs, commit, branch)
        PUSHES.labels(result.kind).inc()
        if not result.ok:
            GIT_FAILURES.labels("push").inc()
        return result

    async def save(self, bead_uid: str, attempt: int, commit: str) -> Saved:
        """Keeps a commit under `refs/polecat/saved/<bead>/<attempt>`: in the store, then on the remote.

        May be called again. A ref that holds other work gets a neighbour (`…/2-2`) and is never overwritten.
        Raises StoreError only.
        """
        await self.open()
        with timed("save"):
            saved = await save(self._git(), self.refs, bead_uid, attempt, commit)
        if not saved.on_remote:
            GIT_FAILURES.labels("save").inc()
        return saved

    async def diff_stat(self, base: str, head: str) -> DiffStat:
        """Commits, files and lines between two commits of the store."""
        return await self.refs.diff_stat(base, head)

    async def is_on_remote(self, commit: str) -> bool:
        """Whether some ref of the remote, asked now, holds the commit. Raises RepositoryError, StoreError."""
        await self.open()
        seen = await self._git().list_refs("refs/heads/*", "refs/polecat/*")
        return commit in seen.values() or await self.refs.is_within(commit, seen.values())

    async def release(self, polecat_uid: str) -> bool:
        """Drops the work ref of a polecat if the remote has its commits; False if it had to be kept.

        Other branches and stashes of the polecat that the remote lacks stay under `refs/polecat/kept/<uid>/`.
        Raises RepositoryError, StoreError.
        """
        commit = await self.work_commit(polecat_uid)
        if commit is None:
            return True
        if not await self.is_on_remote(commit):
            return False
        kept = await self.refs.list(f"{KEPT}{polecat_uid}/")
        done = [ref for ref, tip in kept.items() if await self.refs.is_within(tip, [commit])]
        await self.refs.delete([work_ref(polecat_uid), *done])
        return True

    def _git(self) -> RemoteGit:
        return RemoteGit(self.git_dir, self.remote)

    async def _fetch_all(self, wanted: frozenset[Wanted]) -> dict[str, str]:
        return await fetch_all(self._git(), self.refs, wanted)
