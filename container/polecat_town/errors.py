"""What can go wrong in a town, who is at fault, and whether trying again helps."""

from __future__ import annotations

from typing import ClassVar

from polecat_api.conditions import Reason


class TownError(Exception):
    """Base of all errors of the supervisor. The message is for the user: what failed, and Git's own words."""

    reason: Reason = Reason.START_FAILED
    """The reason that the condition gets."""
    retry: ClassVar[bool] = True
    """Whether the same thing may succeed later without anybody changing anything."""


class DomainError(TownError):
    """A process could not be put into its isolation; it was not run."""


class WorkspaceError(TownError):
    """A private repository or worktree could not be made, read or taken over."""


class StoreError(TownError):
    """The town's own copy of a repository can't be used: disk full, read-only, damaged."""


class RepositoryError(TownError):
    """The remote repository can't be used; `reason` says in which way."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
