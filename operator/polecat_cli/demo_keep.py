"""`--keep`: the demo runs in a session of its own, and goes on when the command that started it has ended.

The inner program draws on the same terminal. When it is done it writes its exit code to a pipe and lets go of the
terminal; the outer one then ends with that code.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from polecat_cli.running import INTERRUPTED, Stop


async def run_outside(arguments: Sequence[str], stop: Stop) -> int:
    """Starts `polecat <arguments> --report-to FD`; gives the code that it reports, or that it ends with.

    When we are interrupted, it is told to end, and waited for.
    """
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    command = [sys.executable, "-P", "-m", "polecat_cli", *arguments, "--report-to", str(writing)]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=(writing,), start_new_session=True
    )
    os.close(writing)
    ended = asyncio.create_task(process.wait())
    pipe = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(pipe), os.fdopen(reading, "rb")
    )
    try:
        reported = await pipe.read(1)
        return reported[0] if reported else await asyncio.shield(ended)
    except asyncio.CancelledError:
        process.terminate()
        while not ended.done():
            hurried = asyncio.create_task(stop.hurry.wait())
            await asyncio.wait((ended, hurried), return_when=asyncio.FIRST_COMPLETED)
            if stop.hurry.is_set() and not ended.done():
                stop.hurry.clear()
                process.terminate()
            hurried.cancel()
        if process.returncode == INTERRUPTED:
            raise
        return process.returncode or 0
    finally:
        transport.close()


def report(descriptor: int, code: int, log: Path) -> None:
    """Tells the outer program our exit code, and writes to `log` from now on."""
    sys.stdout.flush()
    sys.stderr.flush()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    # The outer program may have been killed; what we keep running is kept all the same.
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, bytes([code]))
    os.close(descriptor)
