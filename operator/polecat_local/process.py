"""A child process of ours: own process group, log file, and never longer-lived than we are."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from polecat_local.errors import LocalError, ProcessFailedError, describe_os_error

_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
TAIL_BYTES = 2048
SEARCH_BYTES = 65536
"""How far back the log is searched for a cause: a panic writes long traces after it."""
KILL_SECONDS = 5.0
"""How long a process may take to end after SIGKILL before we stop waiting for it."""


def die_with_parent(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` (absolute program path first) and dies with this process.

    The kernel ties it to the *thread* that starts it: start it from one that lives as long as it shall.
    """
    return [sys.executable, "-I", "-S", _LAUNCHER, str(os.getpid()), *command]


class Child:
    """One running process. Made by `start`; `name` is what the user reads in messages and log file names."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path, log_start: int) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._log_start = log_start

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], log_dir: Path, env: Mapping[str, str], cwd: Path | None = None
    ) -> "Child":
        """Starts `command` with exactly `env`; output is appended to `<log_dir>/<name>.log`."""
        log = log_dir / f"{name}.log"
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise LocalError(describe_os_error(error, f"opening the log {log}")) from error
        log_start = os.fstat(descriptor).st_size
        try:
            process = await asyncio.create_subprocess_exec(
                *die_with_parent(command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=dict(env),
                cwd=cwd,
                process_group=0,
            )
        except OSError as error:
            raise LocalError(describe_os_error(error, f"starting {name}")) from error
        finally:
            os.close(descriptor)
        return cls(name, process, log, log_start)

    @property
    def pid(self) -> int:
        """Process id, which is its process group's id too."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative numbers are signals."""
        return self._process.returncode

    async def wait(self) -> int:
        """Waits for the end; gives the exit code."""
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process alone; nothing happens if it has ended."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def stop(self, grace_seconds: float, hurry: asyncio.Event | None = None) -> int:
        """SIGTERM; after the grace, or at once when `hurry` is set, SIGKILL to the whole group.

        Gives the exit code.
        """
        self.send(signal.SIGTERM)
        waits = [asyncio.ensure_future(self._process.wait())]
        if hurry is not None:
            waits.append(asyncio.ensure_future(_set(hurry)))
        try:
            await asyncio.wait(waits, timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            self.kill_group()
        async with asyncio.timeout(KILL_SECONDS):
            return await self._process.wait()

    def kill_group(self) -> None:
        """SIGKILL to everything left in the process group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return

    def log_tail(self, size_bytes: int = TAIL_BYTES) -> str:
        """The end of what this process has written, at most `size_bytes`."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(self._log_start, self.log.stat().st_size - size_bytes))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def failure(self) -> ProcessFailedError:
        """What to tell the user when it ended by itself: the cause if it is a known one, else its last lines."""
        cause = explain(self.log_tail(SEARCH_BYTES))
        said = cause or f"its last lines are\n{self.log_tail()}"
        return ProcessFailedError(f"{self.name} ended with {describe_exit(self.exit_code)} (log: {self.log}): {said}")


async def _set(event: asyncio.Event) -> int:
    await event.wait()
    return 0


def describe_exit(code: int | None) -> str:
    """`1` → `exit code 1`, `-9` → `SIGKILL`."""
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def explain(log: str) -> str | None:
    """What is wrong, for the causes that users can mend themselves; None for others."""
    text = log.lower()
    if "address already in use" in text:
        return "a port it needs is taken by another program; stop that program, or start again for new ports"
    if "no space left on device" in text or "disk quota exceeded" in text:
        return "the disk is full; free some space and start again"
    if "permission denied" in text or "read-only file system" in text:
        return "it may not write to its data directory"
    return None
