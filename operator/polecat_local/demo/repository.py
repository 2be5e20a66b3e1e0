"""The sample repository: the files of `sample/` as a bare Git repository with a short history, and reading it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polecat_local.errors import LocalError

SAMPLE = Path(__file__).with_name("sample")
BRANCH = "main"
GIT_SECONDS = 60.0

HISTORY: Sequence[tuple[str, str, Sequence[str]]] = (
    (
        "2026-10-30T09:00:00Z",
        "A book is a text file: model and parser",
        (".gitignore", "README.md", "pennybook/__init__.py", "pennybook/model.py", "pennybook/parser.py"),
    ),
    (
        "2026-11-02T10:30:00Z",
        "Totals by month and category",
        ("CHANGELOG.md", "examples", "pennybook/report.py", "pennybook/formatting.py", "pennybook/cli.py"),
    ),
    ("2026-11-09T14:15:00Z", "Tests, with three known bugs marked", (".",)),
)
"""(time, message, paths) of each commit. The commits' ids follow from this and the files alone."""


class GitError(LocalError):
    """Git did not do what the demo needs; the text has Git's own words."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a branch of the repository holds."""

    commit: str
    subject: str
    files: tuple[str, ...]
    """Paths that differ from where the branch began."""


async def create_repository(bare: Path) -> None:
    """Makes the bare repository at `bare` (which must not exist) with one branch, `main`."""
    scratch = bare.with_name(f".{bare.name}.building")
    try:
        shutil.copytree(SAMPLE, scratch, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        await _git(scratch, "init", "--quiet", f"--initial-branch={BRANCH}", ".")
        for when, message, paths in HISTORY:
            await _git(scratch, "add", "--", *paths)
            who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _author(when)}
            await _git(scratch, "commit", "--quiet", "--no-gpg-sign", "-m", message, env=who)
        await _git(scratch, "clone", "--quiet", "--bare", ".", str(bare.absolute()))
    except OSError as error:
        raise GitError(f"the sample repository can't be made at {bare}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


async def read_branch(bare: Path, branch: str) -> Arrived | None:
    """What `branch` really holds; None when there is no such branch."""
    ref = f"refs/heads/{branch}"
    if not await _git(bare, "for-each-ref", "--format=%(objectname)", ref):
        return None
    commit, _, subject = (await _git(bare, "log", "-1", "--format=%H %s", ref)).partition(" ")
    files = await _git(bare, "diff", "--name-only", f"{BRANCH}...{ref}")
    return Arrived(commit, subject, tuple(files.splitlines()))


def _author(when: str) -> tuple[tuple[str, str], ...]:
    return ("NAME", "Robin Penny"), ("EMAIL", "robin@pennybook.example"), ("DATE", when)


async def _git(where: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Standard output of one Git command, with no configuration of the user's; raises GitError."""
    git = shutil.which("git")
    if git is None:
        raise GitError("git is not installed: the demo needs it, and so do agents")
    path = str(Path(git).parent)
    fixed = {"PATH": path, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    process = await asyncio.create_subprocess_exec(
        git,
        *arguments,
        cwd=where,
        env={**fixed, **(env or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(GIT_SECONDS):
            out, err = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode != 0:
        raise GitError(f"git {arguments[0]}: {err.decode(errors='replace').strip() or 'failed'}")
    return out.decode(errors="replace").strip()
