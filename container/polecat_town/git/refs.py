"""Refs of the store: reading, setting and comparing. Nothing here talks to the remote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from polecat_town.errors import StoreError
from polecat_town.git.command import read_git, run_git
from polecat_town.git.types import DiffStat

BASES = "refs/polecat/base/"
KEPT = "refs/polecat/kept/"
"""Everything else that polecats had in their repositories: other branches, stashes, left-over work."""
INCOMING = "refs/polecat/incoming/"


def base_ref(branch: str) -> str:
    """Where the store has a branch of the remote; escaped, as `a` and `a/b` may follow each other there."""
    return BASES + quote(branch, safe="")


class StoreRefs:
    """The refs of one bare repository."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir

    async def get(self, ref: str) -> str | None:
        """The commit that a ref points to; None if there is no such ref (or object, when given a hash)."""
        result = await run_git(self._git_dir, ["rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"])
        return result.stdout.strip() or None

    async def list(self, prefix: str) -> dict[str, str]:
        """All refs below a prefix (ends in a slash) and their objects."""
        text = await read_git(self._git_dir, "for-each-ref", "--format=%(refname) %(objectname)", prefix)
        return dict(line.split(" ", 1) for line in text.splitlines())

    async def set(self, ref: str, commit: str) -> None:
        """Points a ref at a commit of the store, whatever it held. Raises StoreError."""
        await read_git(self._git_dir, "update-ref", ref, commit)

    async def delete(self, refs: Iterable[str]) -> None:
        """Deletes refs; those that don't exist are fine. Raises StoreError."""
        await self.update({}, refs)

    async def update(self, new: Mapping[str, str], gone: Iterable[str] = ()) -> None:
        """Points refs at commits and deletes others, all or none. Raises StoreError."""
        commands = "".join(f"update {ref} {commit}\n" for ref, commit in new.items())
        commands += "".join(f"delete {ref}\n" for ref in gone)
        if commands:
            result = await run_git(self._git_dir, ["update-ref", "--stdin"], stdin=commands)
            if not result.ok:
                raise StoreError(f"refs could not be written in the town's store: {result.stderr.strip()}")

    async def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` holds all of `older` (or is it). False when the store lacks one of them."""
        return (await run_git(self._git_dir, ["merge-base", "--is-ancestor", older, newer])).ok

    async def is_within(self, commit: str, tips: Iterable[str]) -> bool:
        """Whether one of the tips holds the commit. Tips that the store lacks are left out."""
        wanted = "".join(f"{tip}\n" for tip in tips)
        known = await run_git(self._git_dir, ["cat-file", "--batch-check=%(objectname) %(objecttype)"], stdin=wanted)
        tips_here = [line.split()[0] for line in known.stdout.splitlines() if line.endswith((" commit", " tag"))]
        if not tips_here:
            return False
        revisions = "".join(f"^{tip}\n" for tip in tips_here) + f"{commit}\n"
        rest = await run_git(self._git_dir, ["rev-list", "--max-count=1", "--stdin"], stdin=revisions)
        return rest.ok and not rest.stdout.strip()

    async def diff_stat(self, base: str, head: str) -> DiffStat:
        """What lies between two commits: those of `head` that `base` lacks, and the files they change."""
        commits = await read_git(self._git_dir, "rev-list", "--count", f"{base}..{head}")
        options = ("--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv")
        numbers = await read_git(self._git_dir, "diff", *options, f"{base}...{head}")
        rows = [entry.split("\t", 2) for entry in numbers.split("\0") if entry.count("\t") >= 2]
        return DiffStat(
            commits=int(commits),
            files_changed=len(rows),
            insertions=sum(int(row[0]) for row in rows if row[0].isdigit()),  # binary files have "-"
            deletions=sum(int(row[1]) for row in rows if row[1].isdigit()),
        )
