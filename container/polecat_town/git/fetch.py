"""Brings bases and saved work from the remote into the store, for several beads at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from polecat_api.branches import SAVED, SavedRef, parse_saved_ref, saved_folder
from polecat_api.conditions import Reason
from polecat_town.errors import RepositoryError, StoreError
from polecat_town.git.refs import StoreRefs, base_ref
from polecat_town.git.remote import RemoteGit
from polecat_town.git.types import Fetched, SavedWork

REMOTE_SAVED = "refs/polecat/remote-saved/"
"""Saved work as the remote has it; the store's own is `refs/polecat/saved/`, and may differ."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one bead needs."""

    base_branch: str
    bead_uid: str


def newest(refs: Collection[str]) -> SavedRef | None:
    """The newest saved ref among those of one bead."""
    parsed = [saved for ref in refs if (saved := parse_saved_ref(ref))]
    return max(parsed, key=lambda saved: (saved.attempt, saved.serial), default=None)


async def fetch_all(git: RemoteGit, refs: StoreRefs, wanted: frozenset[Wanted]) -> dict[str, str]:
    """One look and at most one transfer for all; gives the remote's refs as they were seen.

    Bases that the remote lacks are left out. Raises RepositoryError, StoreError.
    """
    bases = {item.base_branch for item in wanted}
    patterns = [f"refs/heads/{base}" for base in bases] + [f"{saved_folder(item.bead_uid)}*" for item in wanted]
    seen = await git.list_refs(*sorted(patterns))
    refspecs = [f"+refs/heads/{base}:{base_ref(base)}" for base in sorted(bases) if f"refs/heads/{base}" in seen]
    for item in wanted:
        saved = newest(_saved_of(item.bead_uid, seen))
        if saved is not None:
            ref = str(saved)
            refspecs.append(f"+{ref}:{remote_saved(ref)}")
    if not await _all_here(refs, refspecs, seen):
        await git.fetch(sorted(set(refspecs)))
    return seen


async def fetched_for(refs: StoreRefs, seen: dict[str, str], item: Wanted) -> Fetched:
    """What `fetch_all` has brought for one bead. Raises RepositoryError when its base branch doesn't exist."""
    if f"refs/heads/{item.base_branch}" not in seen:
        message = f"the repository has no branch {item.base_branch}"
        raise RepositoryError(Reason.BRANCH_MISSING, message)
    base = await refs.get(base_ref(item.base_branch))
    if base is None:
        raise StoreError(f"the branch {item.base_branch} could not be read from the town's store after the fetch")
    return Fetched(base_commit=base, saved=await _saved(refs, seen, item.bead_uid))


async def _saved(refs: StoreRefs, seen: dict[str, str], bead_uid: str) -> SavedWork | None:
    """The newest of what remote and store have; of the same ref, the one that holds the other."""
    here = await refs.list(saved_folder(bead_uid))
    there = _saved_of(bead_uid, seen)
    saved = newest(here | there)
    if saved is None:
        return None
    ref = str(saved)
    fetched = await refs.get(remote_saved(ref)) if ref in there else None
    local = here.get(ref)
    if fetched is not None and (local is None or await refs.is_ancestor(local, fetched)):
        return SavedWork(ref, saved.attempt, fetched, on_remote=True)
    if local is None:
        return None
    return SavedWork(ref, saved.attempt, local, on_remote=False)


def _saved_of(bead_uid: str, seen: dict[str, str]) -> dict[str, str]:
    folder = saved_folder(bead_uid)
    return {ref: commit for ref, commit in seen.items() if ref.startswith(folder)}


def remote_saved(ref: str) -> str:
    """Where the store has a saved ref of the remote."""
    return REMOTE_SAVED + ref.removeprefix(SAVED)


async def _all_here(refs: StoreRefs, refspecs: list[str], seen: dict[str, str]) -> bool:
    """Whether a transfer would bring nothing new."""
    for refspec in refspecs:
        source, target = refspec.removeprefix("+").split(":", 1)
        if await refs.get(target) != seen[source]:
            return False
    return True
