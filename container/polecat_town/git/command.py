"""Runs Git with the supervisor's rights, on the store only, deaf to everybody's configuration."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polecat_town.domain.grants import CERTIFICATE_VARIABLES, NETWORK_VARIABLES
from polecat_town.errors import StoreError

LOCAL_SECONDS = 60.0
"""Deadline of a command that touches the local disk only."""
STOP_GRACE_SECONDS = 2.0
PROTOCOLS = "file:git:http:https:ssh"
_TRUSTED = {"SSL_CERT_FILE": "GIT_SSL_CAINFO", "SSL_CERT_DIR": "GIT_SSL_CAPATH"}
"""The usual names of what to trust, which Git's HTTP does not know → its own."""
_DISK_TROUBLE = ("No space left on device", "Disk quota exceeded", "Read-only file system", "Input/output error")

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.helper=",
    "core.askPass=",
    "protocol.version=2",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "advice.detachedHead=false",
)


@dataclass(frozen=True, slots=True)
class Access:
    """How a command signs in at the remote: settings, environment and descriptors that it inherits."""

    settings: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GitResult:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.exit_code == 0


def supervisor_environment(git_dir: Path) -> dict[str, str]:
    """The whole environment of the supervisor's Git, before signing in."""
    passed = ("PATH", "SSH_AUTH_SOCK", "ALL_PROXY", "all_proxy", *CERTIFICATE_VARIABLES, *NETWORK_VARIABLES)
    env = {key: os.environ[key] for key in passed if key in os.environ}
    env |= {name: os.environ[key] for key, name in _TRUSTED.items() if os.environ.get(key)}
    return env | {
        "HOME": str(git_dir),  # neither .netrc nor .gitconfig of the user
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15 -o StrictHostKeyChecking=yes",
        "LC_ALL": "C",
    }


async def run_git(
    git_dir: Path,
    arguments: Sequence[str],
    *,
    timeout_seconds: float = LOCAL_SECONDS,
    access: Access | None = None,
    stdin: str | None = None,
) -> GitResult:
    """Runs `git --git-dir GIT_DIR ARGUMENTS`; a failure is a result. Raises StoreError when the disk is at fault."""
    access = access or Access()
    settings = [word for setting in (*_SETTINGS, *access.settings) for word in ("-c", setting)]
    try:
        process = await asyncio.create_subprocess_exec(
            "git", *settings, f"--git-dir={git_dir}", *arguments,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**supervisor_environment(git_dir), **access.env},
            pass_fds=access.descriptors,
            cwd="/",
            start_new_session=True,  # uvloop knows no process_group
        )  # fmt: skip
    except OSError as error:
        raise StoreError(f"git can't be started: {error.strerror}") from error
    talk = asyncio.ensure_future(process.communicate(None if stdin is None else stdin.encode()))
    try:
        done, _ = await asyncio.wait([talk], timeout=timeout_seconds)
    except asyncio.CancelledError:
        await asyncio.shield(_stop(process, talk))
        raise
    if not done:
        await _stop(process, talk)
        message = f"git {arguments[0]} did not end within {timeout_seconds:.0f} s and was stopped"
        return GitResult(-1, "", message, timed_out=True)
    stdout, stderr = talk.result()
    result = GitResult(process.returncode or 0, stdout.decode(errors="replace"), stderr.decode(errors="replace"))
    if not result.ok and (trouble := _disk_trouble(result.stderr)):
        raise StoreError(f"the town's data volume can't be written: {trouble}")
    return result


async def read_git(git_dir: Path, *arguments: str) -> str:
    """Output of a local command that must succeed, without the line's end. Raises StoreError with Git's words."""
    result = await run_git(git_dir, arguments)
    if not result.ok:
        raise StoreError(f"git {arguments[0]} failed in the town's store: {result.stderr.strip()}")
    return result.stdout.strip()


def _disk_trouble(text: str) -> str | None:
    """The line that says so, unless it is the remote that says it."""
    for line in text.splitlines():
        if not line.startswith("remote:") and any(word in line for word in _DISK_TROUBLE):
            return line
    return None


async def _stop(process: asyncio.subprocess.Process, talk: asyncio.Future[tuple[bytes, bytes]]) -> None:
    """SIGTERM, on which Git takes its lock files away, then SIGKILL, to the whole group."""
    for number, seconds in ((signal.SIGTERM, STOP_GRACE_SECONDS), (signal.SIGKILL, STOP_GRACE_SECONDS)):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        done, _ = await asyncio.wait([talk], timeout=seconds)
        if done:
            break
    if not talk.done():
        talk.cancel()
    await asyncio.wait([talk])
