"""What a process may touch, and running one inside of that."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from polecat_town.domain.grants import DEVICES, SHARED_MEMORY, passed_on, readable, tool_homes
from polecat_town.domain.launch import CANNOT_ENTER
from polecat_town.domain.network import Network, closed_network, open_network
from polecat_town.domain.processes import MARKER, RUN_MARKER, Target, end, kill_marked
from polecat_town.errors import DomainError

__all__ = [
    "Command",
    "Completed",
    "Domain",
    "agent_domain",
    "agent_environment",
    "fresh_home",
    "kill_marked",
    "launch_line",
    "run_in_domain",
    "spawn_in_domain",
]

_LAUNCHER = str(Path(__file__).with_name("launch.py"))
STOP_GRACE_SECONDS = 2.0
"""How long a command that has run out of time, and what it left behind, may take to end by itself."""
DRAIN_SECONDS = 2.0
"""How long to wait for the rest of the output when all known processes of a command are gone."""
CLEAN_SECONDS = 120.0
AGENT_NICENESS = 5
"""What agents, checks and set-up commands are behind the supervisor: three of them together weigh what it weighs. More
would starve them on a machine that has other work."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What a process may touch; all other files are out of its reach."""

    read_write: tuple[Path, ...]
    read_only: tuple[Path, ...]
    by_name: tuple[Path, ...] = ()
    """Directories in which files may be made and opened, but not listed (shared memory)."""
    network: Network = field(default_factory=closed_network)
    niceness: int = 0
    """Added to that of the supervisor."""

    def at_work(self, network: Network) -> Domain:
        """The same for what an agent starts, or a rig's commands: with a network, and behind the supervisor."""
        return replace(self, network=network, niceness=AGENT_NICENESS)


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run, with exactly this environment."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended."""

    exit_code: int | None
    """None when a signal ended it."""
    signal: int | None
    output: str
    """The last part of standard output and error."""
    timed_out: bool

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with 0."""
        return self.exit_code == 0 and not self.timed_out


def agent_domain(rig_dir: Path, name: str, kilo: Path | None = None) -> Domain:
    """The domain of the name `name` in a rig (`<data>/rigs/<rig>`), without network: see `Domain.at_work`.

    Read-write: the name's own directory and the usual devices. Read-only: the objects of the store, the system,
    the programs on PATH with their installation prefixes, and the package that `kilo` (the CLI's binary) is in.
    """
    own = rig_dir / name
    data_dir = rig_dir.parent.parent
    read_only = [*readable(os.environ, Path.home(), data_dir), rig_dir / "store.git" / "objects"]
    if kilo is not None:
        binary = kilo.resolve()
        read_only.append(binary.parent.parent if binary.parent.name == "bin" else binary)
    return Domain(
        read_write=(own, *(path for path in map(Path, DEVICES) if path.exists())),
        read_only=tuple(dict.fromkeys(read_only)),
        by_name=(Path(SHARED_MEMORY),),
    )


def agent_environment(rig_dir: Path, name: str, network: Network | None = None) -> dict[str, str]:
    """HOME, XDG directories, TMPDIR, PATH, locale and proxies of all processes of a name; no secret."""
    home = rig_dir / name / "home"
    return {
        **tool_homes(Path.home()),
        **passed_on(os.environ),
        **(network or open_network()).environment,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "TMPDIR": str(home / "tmp"),
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "USER": name,
        "LOGNAME": name,
        "SHELL": "/bin/sh",
        "TERM": "dumb",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "true",
    }


async def fresh_home(rig_dir: Path, name: str) -> Path:
    """Removes `<rig_dir>/<name>/home` with all that an earlier bead left in it, and makes it anew.

    End all processes of the name first. Raises DomainError when something can't be removed.
    """
    home = rig_dir / name / "home"
    await remove_tree(rig_dir, name, home)
    try:
        for folder in (".config", ".local/share", ".local/state", ".cache", "run", "tmp"):
            (home / folder).mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise DomainError(f"the home of {name} could not be made: {error.strerror}") from error
    return home


async def remove_tree(rig_dir: Path, name: str, directory: Path) -> None:
    """Deletes a directory below that of a name, from inside the name's domain.

    There links and modes that an agent left behind can't lead anywhere else. Raises DomainError.
    """
    own = rig_dir / name
    own.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.path.lexists(directory):
        return
    script = 'rm -rf -- "$1" 2>/dev/null || { chmod -R u+rwX -- "$1"; rm -rf -- "$1"; }'
    command = Command(("sh", "-c", script, "sh", str(directory)), own, {"PATH": os.environ.get("PATH", os.defpath)})
    done = await run_in_domain(agent_domain(rig_dir, name), command, marker="", timeout_seconds=CLEAN_SECONDS)
    if not done.ok or os.path.lexists(directory):
        raise DomainError(f"{directory} could not be removed: {done.output.strip() or 'it takes too long'}")


def launch_line(domain: Domain, argv: tuple[str, ...], *, parent: int) -> list[str]:
    """The command line that enters the domain and runs `argv`; `parent` 0 when another program starts it."""
    specification = {
        "rw": [str(path) for path in domain.read_write],
        "ro": [str(path) for path in domain.read_only],
        "by_name": [str(path) for path in domain.by_name],
        "network": domain.network.way,
        "sockets": domain.network.sockets.hex(),
        "nice": domain.niceness,
        "parent": parent,
    }
    return [sys.executable, "-I", "-S", _LAUNCHER, json.dumps(specification, separators=(",", ":")), *argv]


def launch_words(domain: Domain, argv: tuple[str, ...]) -> str:
    """`launch_line` as one string for a shell, for programs that start others by such (Git).

    Only for domains without descriptors to be inherited.
    """
    return shlex.join(launch_line(domain, argv, parent=0))


async def run_in_domain(
    domain: Domain, command: Command, *, marker: str, timeout_seconds: float, output_limit: int = 65536
) -> Completed:
    """Runs a command to its end; nothing that it started outlives it, daemons included.

    `marker` is the polecat's UID, which all processes carry. `output_limit` is in bytes; of more output the
    end is kept. Raises DomainError when the domain can't be entered or the directory is gone.
    """
    run = uuid.uuid4().hex
    env = {**command.env, MARKER: marker, RUN_MARKER: run}
    # a pipe of our own: asyncio's `wait` with its pipes would wait for daemons that hold them open, too
    read_end, write_end = os.pipe()
    reader = asyncio.ensure_future(_read_tail(read_end, output_limit))
    try:
        process = await _start(domain, command, env, write_end)
    except DomainError:
        reader.cancel()
        raise
    finally:
        os.close(write_end)
    target = Target(RUN_MARKER, run, group=process.pid)
    timed_out = False
    try:
        async with asyncio.timeout(timeout_seconds):
            await process.wait()
    except TimeoutError:
        timed_out = True
    finally:
        await asyncio.shield(_settle(process, target, reader))
    code = process.returncode
    output = reader.result()
    if code == CANNOT_ENTER and output.startswith("the isolation of "):
        raise DomainError(output.strip())
    return Completed(
        exit_code=code if code is not None and code >= 0 else None,
        signal=-code if code is not None and code < 0 else None,
        output=output,
        timed_out=timed_out,
    )


async def spawn_in_domain(
    domain: Domain, command: Command, log_path: Path, *, marker: str
) -> asyncio.subprocess.Process:
    """Starts a long-lived process, leader of its own session, output appended to `log_path` (mode 0600).

    It dies with the thread that calls this: call it from the supervisor's main thread. End it and all that it
    started with `kill_marked(uid, …, group=process.pid)`. Raises DomainError.
    """
    try:
        descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise DomainError(f"the log {log_path} can't be opened: {error.strerror}") from error
    try:
        return await _start(domain, command, {**command.env, MARKER: marker}, descriptor)
    finally:
        os.close(descriptor)


async def _start(domain: Domain, command: Command, env: Mapping[str, str], output: int) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *launch_line(domain, command.argv, parent=os.getpid()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            cwd=command.cwd,
            env=dict(env),
            pass_fds=domain.network.descriptors,
        )
    except OSError as error:
        raise DomainError(f"{command.argv[0]} can't be started in {command.cwd}: {error.strerror}") from error


async def _settle(process: asyncio.subprocess.Process, target: Target, reader: asyncio.Future[str]) -> None:
    """Ends what is left of a command, then waits a moment for the rest of its output."""
    if process.returncode is None:
        await end(target, STOP_GRACE_SECONDS)
        await process.wait()
    else:
        await end(target, 0.0)
    await asyncio.wait([reader], timeout=DRAIN_SECONDS)
    if not reader.done():
        reader.cancel()
        await asyncio.wait([reader])


async def _read_tail(descriptor: int, limit: int) -> str:
    """The last `limit` bytes that come out of a pipe, which it closes."""
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", buffering=0)
    )
    tail = bytearray()
    cut = False
    try:
        while chunk := await stream.read(65536):
            tail += chunk
            if len(tail) > limit:
                del tail[: len(tail) - limit]
                cut = True
    except asyncio.CancelledError:
        pass  # something out of our reach still holds the pipe; what has come is the output
    finally:
        transport.close()
    return ("[…]\n" if cut else "") + tail.decode(errors="replace")


def describe_end(completed: Completed) -> str:
    """`exit code 1`, `SIGKILL`, `ran out of time`."""
    if completed.timed_out:
        return "ran out of time"
    if completed.signal is not None:
        try:
            return signal.Signals(completed.signal).name
        except ValueError:
            return f"signal {completed.signal}"
    return f"exit code {completed.exit_code}"
