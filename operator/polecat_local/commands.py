"""Runs a tool (go, npm) to its end, line by line, and takes it down with all its children when cancelled."""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polecat_local.errors import LocalError, describe_os_error
from polecat_local.process import die_with_parent

TAIL_LINES = 12
_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Outcome:
    """How a tool ended: its exit code (negative: a signal) and the last lines it wrote."""

    code: int
    tail: str


async def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Outcome:
    """Runs `command` (absolute program path first); both output streams go to `on_line`, without line ends.

    Raises LocalError when it cannot be started. When the caller is cancelled, the whole process group is
    killed before the cancellation goes on.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *die_with_parent(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            process_group=0,
            limit=_LINE_BYTES,
        )
    except OSError as error:
        raise LocalError(describe_os_error(error, f"starting {command[0]}")) from error
    if process.stdout is None:
        raise RuntimeError("a pipe was asked for")
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        async for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            tail.append(line)
            if on_line is not None:
                on_line(line)
        code = await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Outcome(code, "\n".join(tail))
