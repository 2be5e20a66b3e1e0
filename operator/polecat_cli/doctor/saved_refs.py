"""Compares the saved refs in a town's stores with what the remotes hold."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from polecat_cli.doctor.facts import SavedRef
from polecat_local.commands import run
from polecat_local.environment import scrubbed
from polecat_local.errors import LocalError

REMOTE_SECONDS = 20.0
TIPS_AT_ONCE = 500
"""So many tips of a remote go into one command line."""
_LINE = re.compile(r"^([0-9a-f]{40,64})\s(refs/\S+|HEAD)$")


class GitFailedError(Exception):
    """Git could not do it; its last words."""


async def saved_refs(rigs: Path, urls: Mapping[str, str], unknown: list[str]) -> list[SavedRef]:
    """All saved refs of all stores; refs whose remote gives no answer are left out and told in `unknown`.

    `urls` are the repositories by rig.
    """
    git = shutil.which("git")
    if git is None:
        unknown.append("saved work: Git is not installed here")
        return []
    found: list[SavedRef] = []
    for store in sorted(rigs.glob("*/store.git")):
        rig = store.parent.name
        try:
            found += await _of_store(git, store, rig, urls.get(rig))
        except (GitFailedError, LocalError, TimeoutError) as error:
            why = str(error) or f"no answer within {REMOTE_SECONDS:g} s"
            unknown.append(f"whether saved work of rig {rig} is on its remote: {why}")
    return found


async def _of_store(git: str, store: Path, rig: str, url: str | None) -> list[SavedRef]:
    here = await _refs(
        [git, f"--git-dir={store}", "for-each-ref", "--format=%(objectname) %(refname)", "refs/polecat/saved/"]
    )
    if not here:
        return []
    if url is None:
        raise GitFailedError("the rig does not exist any more, so its repository's URL is not known")
    async with asyncio.timeout(REMOTE_SECONDS):
        there = await _refs([git, "ls-remote", "--", url])
    tips = sorted(set(there.values()))
    return [
        SavedRef(rig, ref, commit, commit in tips or await _is_within(git, store, commit, tips))
        for ref, commit in here.items()
    ]


async def _is_within(git: str, store: Path, commit: str, tips: Sequence[str]) -> bool:
    """Whether a tip holds the commit; tips that the store lacks are passed over."""
    for start in range(0, len(tips), TIPS_AT_ONCE):
        some = tips[start : start + TIPS_AT_ONCE]
        arguments = ["rev-list", "--ignore-missing", "--max-count=1", commit, "--not", *some]
        if not await _lines([git, f"--git-dir={store}", *arguments]):
            return True
    return False


async def _refs(command: Sequence[str]) -> dict[str, str]:
    # Git's warnings come between the lines.
    matches = [match for line in await _lines(command) if (match := _LINE.match(line))]
    return {match[2]: match[1] for match in matches}


async def _lines(command: Sequence[str]) -> list[str]:
    """What Git prints. Raises GitFailedError, LocalError."""
    # The user's own configuration and agent for SSH keys are used; nobody is asked for a password.
    env = {
        **scrubbed(os.environ),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    }
    if "SSH_AUTH_SOCK" in os.environ:
        env["SSH_AUTH_SOCK"] = os.environ["SSH_AUTH_SOCK"]
    lines: list[str] = []
    outcome = await run(command, env=env, cwd=Path("/"), on_line=lines.append)
    if outcome.code != 0:
        raise GitFailedError(outcome.tail or f"git ended with exit code {outcome.code}")
    return lines
