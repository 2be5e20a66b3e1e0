"""What an attempt has changed: its commits, and its files against the commit that it began from."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from polecat_town.domain.domain import Command, Completed, Domain, run_in_domain
from polecat_town.domain.grants import DEVICES, readable
from polecat_town.errors import WorkspaceError
from polecat_town.git import scripts
from polecat_town.git.private import PolecatRepository, words_of
from polecat_town.git.store import Store

COMMITS_MAX = 100
FILES_MAX = 1000
DIFF_MAX_LENGTH = 512 << 10
"""Characters of all diffs together; what comes after is left out, and said to be."""
LOOK_SECONDS = 20.0
_LOOK_BYTES = 1 << 20
"""How much of Git's answer is read: the list of files, and more of the diffs than is shown."""
_HALF_SECRET_LENGTH = 8192
"""At the end of an answer that was cut a secret may be cut, too, and would not be recognised."""
_DIFF = "diff --git "


@dataclass(frozen=True, slots=True)
class CommitLine:
    """One commit."""

    commit: str
    time_seconds: int
    """When it was made, in seconds since 1970."""
    subject: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that is not what it was."""

    path: str
    status: str
    """Git's letter: A, C, D, M, R, T or U."""
    before: str | None = None
    """The path that it had, when it was renamed or copied."""
    additions: int | None = None
    """Lines; None for a binary file."""
    deletions: int | None = None
    diff: str = ""
    """Unified, with Git's header; empty when there was no room for it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """All of it. What is beyond the limits is left out."""

    head: str = ""
    """The last commit; empty when there is none yet."""
    commits: tuple[CommitLine, ...] = ()
    """Newest first."""
    files: tuple[FileChange, ...] = ()
    more_commits: bool = False
    more_files: bool = False
    more_diff: bool = False


async def of_worktree(repository: PolecatRepository, *, with_files: bool) -> Changes:
    """What a worktree holds now, changes included that are not committed or added yet.

    It is read in the polecat's domain. Raises WorkspaceError, DomainError.
    """
    done = await repository.script(
        scripts.CHANGES,
        repository.base_commit,
        *_limits(with_files),
        timeout_seconds=LOOK_SECONDS,
        output_limit=2 * _LOOK_BYTES,
    )
    return _read(done)


async def of_store(store: Store, base: str, head: str, *, with_files: bool) -> Changes:
    """What lies between two commits of the store, read in a domain that can change nothing.

    Raises WorkspaceError, DomainError.
    """
    data_dir = store.rig_dir.parent.parent
    domain = Domain(
        read_write=tuple(path for path in map(Path, DEVICES) if path.exists()),
        read_only=(*readable(os.environ, Path.home(), data_dir), store.git_dir),
    )
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    arguments = (str(store.git_dir), base, head, *_limits(with_files))
    command = Command(("sh", "-c", scripts.CHANGES_STORED, "sh", *arguments), store.git_dir, env)
    done = await run_in_domain(domain, command, marker="", timeout_seconds=LOOK_SECONDS, output_limit=2 * _LOOK_BYTES)
    return _read(done)


def _limits(with_files: bool) -> tuple[str, str]:
    return str(COMMITS_MAX + 1), str(_LOOK_BYTES if with_files else 0)


def _read(done: Completed) -> Changes:
    if not done.ok:
        raise WorkspaceError(f"what has changed can't be read: {words_of(done)}")
    return parse(done.output)


def parse(output: str) -> Changes:
    """What the scripts print: head, commits, an empty field, and `git diff --raw --numstat --patch -z`."""
    head, _, rest = output.partition("\0")
    commits: list[CommitLine] = []
    while rest and not rest.startswith("\0"):
        commit, time, subject, rest = (*rest.split("\0", 3), "", "", "")[:4]
        commits.append(CommitLine(commit, int(time) if time.isdecimal() else 0, subject.strip()))
    listed, cut, patch = rest[1:].partition("\0\0")
    whole = not rest[1:] or bool(cut)
    if len(rest.encode()) > _LOOK_BYTES:
        patch = patch[:-_HALF_SECRET_LENGTH]
    files = _with_diffs(_list(listed), patch)
    return Changes(
        head=head,
        commits=tuple(commits[:COMMITS_MAX]),
        files=tuple(files[:FILES_MAX]),
        more_commits=len(commits) > COMMITS_MAX,
        more_files=not whole or len(files) > FILES_MAX,
        more_diff=not whole or len(rest.encode()) > _LOOK_BYTES,
    )


def _list(listed: str) -> list[FileChange]:
    """Files of the raw list, with their counts; an entry that is cut short is left out."""
    fields = iter(listed.split("\0"))
    files: dict[str, FileChange] = {}
    for field in fields:
        if field.startswith(":"):
            status = field.rpartition(" ")[2][:1]
            before = next(fields, "") if status in ("R", "C") else None
            path = next(fields, "")
            if path:
                files[path] = FileChange(path, status, before)
        else:
            additions, deletions, path = (*field.split("\t", 2), "", "")[:3]
            if not path:
                next(fields, "")
                path = next(fields, "")
            if path in files and additions.isdecimal() and deletions.isdecimal():
                files[path] = replace(files[path], additions=int(additions), deletions=int(deletions))
    return list(files.values())


def _with_diffs(files: list[FileChange], patch: str) -> list[FileChange]:
    """Each file with its part of the patch. Lines of contents never begin like the header of a file."""
    parts: dict[str, str] = {}
    for number, part in enumerate(f"\n{patch}".split(f"\n{_DIFF}")):
        if number:
            header = part.partition("\n")[0]
            parts[header] = f"{parts.get(header, '')}{_DIFF}{part}\n"
    return [replace(file, diff=parts.get(f"a/{file.before or file.path} b/{file.path}", "")) for file in files]


def shown(changes: Changes, spans: Callable[[str], list[tuple[int, int]]], redacted: str) -> Changes:
    """The same without secrets, and cut to `DIFF_MAX_LENGTH`. `spans` finds them in a text; it takes its time."""

    def clean(text: str) -> str:
        return _replaced(text, spans(text), redacted)

    room, files = DIFF_MAX_LENGTH, []
    for file in changes.files:
        diff = _clean_diff(file.diff, clean) if room > 0 else ""
        if len(diff) > room:
            diff = diff[: diff.rfind("\n", 0, room) + 1]
            room = 0
        room -= len(diff)
        before = None if file.before is None else clean(file.before)
        files.append(replace(file, path=clean(file.path), before=before, diff=diff))
    return replace(
        changes,
        commits=tuple(replace(commit, subject=clean(commit.subject)) for commit in changes.commits),
        files=tuple(files),
        more_diff=changes.more_diff or room <= 0,
    )


def _clean_diff(diff: str, clean: Callable[[str], str]) -> str:
    """Secrets of several lines are found without the signs before the lines, and every line stays one."""
    lines = diff.split("\n")
    bodies = clean("\n".join(line[1:] for line in lines)).split("\n")
    return "\n".join(line[:1] + body for line, body in zip(lines, bodies, strict=True))


def _replaced(text: str, spans: list[tuple[int, int]], redacted: str) -> str:
    """With each span replaced, line by line."""
    pieces, at = [], 0
    for start, end in spans:
        pieces += [text[at:start], *"\n".join([redacted] * (text.count("\n", start, end) + 1))]
        at = end
    return "".join([*pieces, text[at:]])
