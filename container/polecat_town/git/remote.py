"""Talks to the remote: list, fetch and push, each with a deadline, secrets removed from what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polecat_api.conditions import Reason
from polecat_town.errors import RepositoryError
from polecat_town.git.causes import Cause, find_cause
from polecat_town.git.command import GitResult, run_git
from polecat_town.git.credentials import proxy_in_use, signed_in
from polecat_town.git.secret import proxy_passwords
from polecat_town.git.types import Credentials, Remote
from polecat_town.streams.redaction import Redactor

LIST_SECONDS = 60.0
FETCH_SECONDS = 3600.0
"""The first fetch of a rig brings the whole history; a transfer that stands still ends by itself after 60 s."""
PUSH_SECONDS = 600.0
MESSAGE_LIMIT = 1024
_NOISE = re.compile(
    r"^(hint:|To |From |error: failed to push some refs|remote: *$|warning: .*--force-with-lease|@|\s*$"
    r"|IT IS POSSIBLE|Someone could|It is also possible|Please contact|Add correct host key|Offending|Please make sure"
    r"|and the repository exists)"
)
_NETWORK = re.compile(
    r"could not resolve|timed? ?out|connection (refused|reset|closed)|hung up|early eof|network is unreachable"
    r"|no route to host|rpc failed|failed to connect|broken pipe",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"(HTTP|error:) 4\d\d")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What Git said about a push."""

    ok: bool
    message: str
    network: bool
    """The failure is one of the connection, not the remote's decision."""


class RemoteGit:
    """The remote of a rig as seen from its store."""

    def __init__(self, git_dir: Path, remote: Remote) -> None:
        self._git_dir = git_dir
        self._remote = remote
        credentials = remote.credentials or Credentials()
        secrets = {credentials.password, credentials.ssh_key, *proxy_passwords(credentials.proxy)}
        self._redactor = Redactor(secrets - {""})

    async def list_refs(self, *patterns: str) -> dict[str, str]:
        """Refs of the remote that match, with their commits (or tags). Raises RepositoryError, StoreError."""
        result = await self._run(["ls-remote", "--refs", self._remote.url, *patterns], LIST_SECONDS)
        if not result.ok:
            raise self._error(result)
        pairs = (line.split("\t", 1) for line in result.stdout.splitlines() if "\t" in line)
        return {ref: commit for commit, ref in pairs}

    async def fetch(self, refspecs: Sequence[str]) -> None:
        """Fetches into the store. Raises RepositoryError, StoreError."""
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules"]
        result = await self._run(["fetch", *options, self._remote.url, *refspecs], FETCH_SECONDS)
        if not result.ok:
            raise self._error(result)

    async def push(self, commit: str, ref: str, expected: str | None, *, dry_run: bool = False) -> Pushed:
        """Sets one ref of the remote, if it still holds `expected` (None: does not exist). Raises StoreError."""
        options = ["--porcelain", "--no-verify", f"--force-with-lease={ref}:{expected or ''}"]
        if dry_run:
            options.append("--dry-run")
        arguments = ["push", *options, self._remote.url, f"{commit}:{ref}"]
        result = await self._run(arguments, LIST_SECONDS if dry_run else PUSH_SECONDS)
        return Pushed(result.ok, "" if result.ok else self.words(result), result.timed_out or self._is_network(result))

    def words(self, result: GitResult) -> str:
        """The cause if it is known, then what Git and the remote said, for a person."""
        cause = self._cause(result)
        said = self._said(result)
        return f"{cause.advice}\n{said}"[:MESSAGE_LIMIT] if cause else said

    def _error(self, result: GitResult) -> RepositoryError:
        cause = self._cause(result)
        return RepositoryError(cause.reason if cause else Reason.REPOSITORY_UNREACHABLE, self.words(result))

    def _cause(self, result: GitResult) -> Cause | None:
        return find_cause(self._remote, proxy_in_use(self._remote), result.stderr)

    def _said(self, result: GitResult) -> str:
        lines = [line.rstrip() for line in result.stderr.splitlines() if not _NOISE.match(line)]
        lines += [line.replace("\t", " ") for line in result.stdout.splitlines() if line.startswith("!")]
        text = "\n".join(lines)
        return self._redactor.text(text)[:MESSAGE_LIMIT] or f"git ended with exit code {result.exit_code}"

    @staticmethod
    def _is_network(result: GitResult) -> bool:
        # a ref that was refused is listed with "!"; without such a line, the talk itself broke off
        refused = any(line.startswith("!") for line in result.stdout.splitlines()) or _REFUSED.search(result.stderr)
        return not refused and _NETWORK.search(result.stderr) is not None

    async def _run(self, arguments: Sequence[str], timeout_seconds: float) -> GitResult:
        with signed_in(self._remote) as access:
            return await run_git(self._git_dir, arguments, timeout_seconds=timeout_seconds, access=access)
