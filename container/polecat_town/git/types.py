"""What goes into the Git layer and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from polecat_api.conditions import Reason
from polecat_town.domain.domain import Domain


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach the remote and sign in there. Never printed."""

    secret: str = ""
    """Name of the Secret that it comes from."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    """For HTTP: a password or token."""
    ssh_key: str = field(default="", repr=False)
    """A private key in OpenSSH or PEM format."""
    known_hosts: str = field(default="", repr=False)
    """Lines of a known_hosts file."""
    certificates: str = field(default="", repr=False)
    """Certificates of authorities in PEM form, trusted for HTTPS beside the system's."""
    proxy: str = field(default="", repr=False)
    """URL of the proxy for HTTP, instead of the one that the town's environment names."""

    @property
    def anonymous(self) -> bool:
        """Whether nothing in it is for signing in: it only says how to get there."""
        return not (self.username or self.password or self.ssh_key)


@dataclass(frozen=True, slots=True)
class Remote:
    """The repository of a rig."""

    rig: str
    url: str
    default_branch: str
    branch_prefix: str
    credentials: Credentials | None = None
    names: tuple[str, ...] = ()
    """The rig's pool of names; empty means the default pool."""


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """What looking at the remote has shown."""

    reason: Reason
    """REPOSITORY_OK, or the reason of a RepositoryError."""
    message: str
    """One or a few lines for the user: Git's own words, secrets removed."""

    @property
    def ok(self) -> bool:
        """Whether polecats may start."""
        return self.reason is Reason.REPOSITORY_OK


@dataclass(frozen=True, slots=True)
class SavedWork:
    """Work of an earlier attempt of a bead."""

    ref: str
    attempt: int
    commit: str
    on_remote: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch has brought into the store."""

    base_commit: str
    saved: SavedWork | None
    """The newest saved work of the bead, on the remote or in the store."""


@dataclass(frozen=True, slots=True)
class PushResult:
    """How a push ended, as the remote itself shows it afterwards."""

    kind: Literal["ok", "rejected", "unreachable", "lied"]
    """`rejected`: the remote said no; `lied`: it said yes, but the branch is not at the commit."""
    message: str
    """Git's own words, secrets removed; empty when ok."""
    remote_commit: str | None
    """What the branch on the remote holds; None when it has none or was not reached."""

    @property
    def ok(self) -> bool:
        """Whether the remote's branch is at the commit, as asked afterwards."""
        return self.kind == "ok"


@dataclass(frozen=True, slots=True)
class Saved:
    """Where work of an unfinished attempt is kept now."""

    ref: str
    commit: str
    on_remote: bool
    """Verified by asking the remote; else the work is in the town's store only, and `message` says why."""
    message: str


@dataclass(frozen=True, slots=True)
class DiffStat:
    """What lies between two commits."""

    commits: int
    files_changed: int
    insertions: int
    deletions: int


@dataclass(frozen=True, slots=True)
class WorkspaceState:
    """What a worktree looks like."""

    head: str | None
    """Commit of HEAD; None when there is none."""
    branch: str | None
    """The branch that HEAD is on, e.g. `polecat/toast/3fa2b1`; None when it is detached."""
    status: str
    """Uncommitted changes in Git's short format, at most 4 KiB; empty when the worktree is clean."""

    @property
    def dirty(self) -> bool:
        """Whether there are uncommitted changes, untracked files included."""
        return bool(self.status)


class PrivateRepository(Protocol):
    """What the store must know of a polecat's repository to take its commits over."""

    uid: str
    base_commit: str
    domain: Domain
    repository: Path
    worktree: Path

    async def head(self) -> str | None:
        """Commit of the worktree's HEAD; None when there is none. Raises WorkspaceError."""
