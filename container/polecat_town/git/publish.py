"""Pushes to a bead's own branch and to its saved refs, and believes only what the remote shows afterwards."""

from __future__ import annotations

from urllib.parse import quote

from polecat_api.branches import saved_folder, saved_ref
from polecat_town.errors import RepositoryError
from polecat_town.git.fetch import remote_saved
from polecat_town.git.refs import StoreRefs
from polecat_town.git.remote import RemoteGit
from polecat_town.git.types import PushResult, Saved

REPLACED = "refs/polecat/replaced/"
"""What a bead's branch held before it was set to work that doesn't build on it."""


async def publish(git: RemoteGit, refs: StoreRefs, commit: str, branch: str) -> PushResult:
    """Sets a branch of the remote to a commit, and asks the remote afterwards.

    The branch belongs to the bead, so work of an earlier attempt on it may be replaced; that is kept under
    `refs/polecat/replaced/` first. A change of the branch meanwhile makes the push fail. Raises StoreError.
    """
    ref = f"refs/heads/{branch}"
    try:
        current = (await git.list_refs(ref)).get(ref)
        if current == commit:
            return PushResult("ok", "", current)
        if current is not None and not await refs.is_ancestor(current, commit):
            await _keep_replaced(git, refs, branch, current, commit)
    except RepositoryError as error:
        return PushResult("unreachable", str(error), None)
    pushed = await git.push(commit, ref, current)
    try:
        found = (await git.list_refs(ref)).get(ref)
    except RepositoryError as error:
        return PushResult("unreachable", pushed.message or str(error), None)
    if found == commit:
        return PushResult("ok", "", found)
    if pushed.ok:
        shown = f"is at {found}" if found else "does not exist there"
        return PushResult("lied", f"the remote accepted the push of {commit}, but {branch} {shown}", found)
    return PushResult("unreachable" if pushed.network else "rejected", pushed.message, found)


async def _keep_replaced(git: RemoteGit, refs: StoreRefs, branch: str, current: str, commit: str) -> None:
    """Brings what the branch holds into the store, and puts it on the remote under another ref if that takes it."""
    kept = f"{REPLACED}{quote(branch, safe='')}/{current[:12]}"
    await git.fetch([f"+refs/heads/{branch}:{kept}"])
    tip = await refs.get(kept)
    if tip is not None and not await refs.is_ancestor(tip, commit):
        # many hosts take such refs, some don't; the store has it in any case
        await git.push(tip, kept, None)


async def save(git: RemoteGit, refs: StoreRefs, bead_uid: str, attempt: int, commit: str) -> Saved:
    """Keeps a commit in the store, then on the remote, under the first ref that holds nothing unrelated.

    Raises StoreError when even the store can't keep it.
    """
    here = await refs.list(saved_folder(bead_uid))
    message = ""
    there: dict[str, str] | None = None
    try:
        there = await git.list_refs(f"{saved_folder(bead_uid)}*")
        await _bring_unknown(git, refs, there)
    except RepositoryError as error:
        message = str(error)
    ref = await _free_ref(refs, bead_uid, attempt, commit, here, there or {})
    if here.get(ref) != commit:
        await refs.set(ref, commit)
    if there is None:
        return Saved(ref, commit, on_remote=False, message=message)
    if there.get(ref) == commit:
        return Saved(ref, commit, on_remote=True, message="")
    pushed = await git.push(commit, ref, there.get(ref))
    try:
        verified = (await git.list_refs(ref)).get(ref) == commit
    except RepositoryError as error:
        return Saved(ref, commit, on_remote=False, message=pushed.message or str(error))
    lied = "the remote accepted the saved work, but does not have it"
    return Saved(ref, commit, on_remote=verified, message="" if verified else pushed.message or lied)


async def _bring_unknown(git: RemoteGit, refs: StoreRefs, there: dict[str, str]) -> None:
    """Fetches saved commits that the store lacks, so that they can be compared."""
    missing = [ref for ref, commit in there.items() if await refs.get(commit) is None]
    if missing:
        await git.fetch([f"+{ref}:{remote_saved(ref)}" for ref in missing])


async def _free_ref(
    refs: StoreRefs, bead_uid: str, attempt: int, commit: str, here: dict[str, str], there: dict[str, str]
) -> str:
    """`<attempt>`, or `<attempt>-2`, …: the first whose commits, here and there, all are part of `commit`."""
    serial = 1
    while True:
        ref = saved_ref(bead_uid, attempt, serial)
        held = [commits[ref] for commits in (here, there) if ref in commits]
        if all([await refs.is_ancestor(old, commit) for old in held]):
            return ref
        serial += 1
