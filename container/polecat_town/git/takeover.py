"""Takes the commits of a private repository over into the store, reading it with the agent's rights only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polecat_api.branches import work_ref
from polecat_town.domain.domain import Domain, launch_words
from polecat_town.errors import WorkspaceError
from polecat_town.git.command import Access, run_git
from polecat_town.git.refs import BASES, INCOMING, KEPT, StoreRefs

TAKE_OVER_SECONDS = 300.0


async def take_over(
    git_dir: Path, refs: StoreRefs, repository: Path, domain: Domain, uid: str, head: str, base_commit: str
) -> str | None:
    """Brings `head` and all branches and stashes of a private repository; gives `head` if it goes beyond the base.

    The polecat's `work_ref` is then at `head`; everything else is under `refs/polecat/kept/<uid>/`. Objects
    are checked (fsck). Raises WorkspaceError, StoreError; what was taken over before stays.
    """
    incoming = f"{INCOMING}{uid}"
    kept = f"{KEPT}{uid}/"
    everything = [
        f"+{head}:{incoming}",
        f"+refs/heads/*:{kept}heads/*",
        f"+refs/tags/*:{kept}tags/*",
        f"+refs/stas*:{kept}stas*",  # a pattern, as naming a ref that doesn't exist is an error
    ]
    problem = await _fetch(git_dir, repository, domain, base_commit, everything)
    if problem is not None:
        # odd names or clashes among its other refs must not keep us from its work
        problem = await _fetch(git_dir, repository, domain, base_commit, everything[:1])
    if problem is not None:
        raise WorkspaceError(f"the commits of {repository.parent} could not be taken over: {problem}")
    found = await refs.list(kept)
    # seldom more than the polecat's own branch; what is part of base or head needs no ref of its own
    gone = [incoming, *[ref for ref, tip in found.items() if await _is_spare(refs, ref, tip, base_commit, head)]]
    if await _is_known(refs, head, base_commit):
        await refs.update({}, gone)
        return None
    new = {work_ref(uid): head}
    previous = await refs.get(work_ref(uid))
    if previous is not None and previous != head and not await refs.is_ancestor(previous, head):
        new[f"{kept}earlier/{previous[:12]}"] = previous
    await refs.update(new, gone)
    return head


async def _fetch(
    git_dir: Path, repository: Path, domain: Domain, base_commit: str, refspecs: Sequence[str]
) -> str | None:
    """One fetch whose other side runs inside the domain; gives Git's words when it fails."""
    options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules"]
    # only these are offered as known, so that an agent does not learn what its siblings have
    tips = f"--negotiation-tip={base_commit or BASES + '*'}"
    # safe.directory is not needed: the other side runs under the user who owns the repository
    upload_pack = f"--upload-pack={launch_words(domain, ('git', 'upload-pack'))}"
    result = await run_git(
        git_dir,
        ["fetch", *options, tips, upload_pack, str(repository), *refspecs],
        timeout_seconds=TAKE_OVER_SECONDS,
        access=Access(settings=("fetch.fsckObjects=true", "transfer.fsckObjects=true")),
    )
    return None if result.ok else (result.stderr.strip()[:1024] or f"git ended with exit code {result.exit_code}")


async def _is_known(refs: StoreRefs, commit: str, base_commit: str) -> bool:
    """Whether a commit is part of what came from the remote."""
    if base_commit:
        return commit == base_commit or await refs.is_ancestor(commit, base_commit)
    return await refs.is_within(commit, (await refs.list(BASES)).values())


async def _is_spare(refs: StoreRefs, ref: str, tip: str, base_commit: str, head: str) -> bool:
    """Whether a kept ref holds nothing beyond base and head."""
    if "/earlier/" in ref:
        return False
    known = [commit for commit in (base_commit, head) if commit]
    return tip in known or await refs.is_within(tip, known)
