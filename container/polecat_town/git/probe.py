"""Whether a repository can be worked with: read it, and try a push without doing it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from polecat_api.conditions import Reason
from polecat_api.names import POOL
from polecat_town.errors import RepositoryError
from polecat_town.git.refs import StoreRefs, base_ref
from polecat_town.git.remote import RemoteGit
from polecat_town.git.types import Remote, RepositoryState

PROBE_BRANCH = "polecat-probe/000000"
"""Below the rig's prefix; tried only, never made."""
SHOWN_BRANCHES = 5


async def probe(remote: Remote, git: RemoteGit, refs: StoreRefs) -> RepositoryState:
    """Reads the remote, looks for the default branch and blocking branches, fetches, tries a push as a dry run.

    Never raises for what the remote does; raises StoreError when the store can't be used.
    """
    try:
        return await _probe(remote, git, refs)
    except RepositoryError as error:
        return RepositoryState(error.reason, str(error))


async def _probe(remote: Remote, git: RemoteGit, refs: StoreRefs) -> RepositoryState:
    default, prefix = f"refs/heads/{remote.default_branch}", f"refs/heads/{remote.branch_prefix}"
    seen = await git.list_refs(default, prefix, f"{prefix}/*")
    if default not in seen:
        return RepositoryState(Reason.BRANCH_MISSING, f"the repository has no branch {remote.default_branch}")
    blocking = blocking_branches(seen, remote)
    if blocking:
        names = ", ".join(blocking[:SHOWN_BRANCHES])
        return RepositoryState(
            Reason.BRANCH_BLOCKED,
            f"the repository has a branch of this name, so Git can make no branch below it: {names}; "
            "rename or delete it, or choose another branchPrefix",
        )
    target = base_ref(remote.default_branch)
    if await refs.get(target) != seen[default]:
        await git.fetch([f"+{default}:{target}"])
    if not _writable(remote.url):
        return RepositoryState(Reason.PUSH_REFUSED, f"the town may not write to the directory of {remote.url}")
    tried = await git.push(target, f"{prefix}/{PROBE_BRANCH}", None, dry_run=True)
    if not tried.ok:
        return RepositoryState(Reason.REPOSITORY_UNREACHABLE if tried.network else Reason.PUSH_REFUSED, tried.message)
    return RepositoryState(Reason.REPOSITORY_OK, f"fetched {remote.default_branch}; a push would be accepted")


def blocking_branches(seen: dict[str, str], remote: Remote) -> list[str]:
    """Branches where a polecat's branches need a folder: the prefix itself, or prefix and a name of the pool."""
    pool = remote.names or POOL
    blocking = []
    for ref in sorted(seen):
        branch = ref.removeprefix("refs/heads/")
        head, _, rest = branch.partition("/")
        if head != remote.branch_prefix or "/" in rest:
            continue
        stem, dash, number = rest.rpartition("-")
        if not rest or rest in pool or (dash and number.isdigit() and stem in pool):
            blocking.append(branch)
    return blocking


def _writable(url: str) -> bool:
    """False for a directory of this machine that we may not write; a dry run does not notice."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return True
    path = Path(unquote(parts.path))
    objects = next((folder for folder in (path / "objects", path / ".git" / "objects") if folder.is_dir()), path)
    return os.access(objects, os.W_OK)
