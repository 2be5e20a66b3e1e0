"""`polecat up --detach`: the same program in a session of its own, followed until it is ready."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from polecat_cli.running import Stop
from polecat_local.datadir import DataDir
from polecat_local.errors import DataDirInUseError
from polecat_local.paths import make_private

POLL_SECONDS = 0.1
MUST_BE_READY = "--must-be-ready"
"""Flag of `polecat up` for the program in the background, which nobody watches any more."""


async def detach_command(data_dir: Path, options: Sequence[str], stop: Stop) -> int:
    """Starts `polecat up` with `options` in the background; copies what it prints until `ready` (exit code 0).

    When it ends before that, its exit code is ours; when we are interrupted, it is ended too.
    """
    data = DataDir(data_dir)
    make_private(data.path, "data")
    if (runner := data.runner()) is not None:
        raise DataDirInUseError(
            f"the data directory {data.path} is in use by process {runner.pid}: "
            "end it with `polecat down`, or give another one with --data-dir"
        )
    log = make_private(data.logs, "log") / "up.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as output, log.open() as lines:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once, and must outlive this event loop
            [sys.executable, "-P", "-m", "polecat_cli", "up", MUST_BE_READY, *options, "--data-dir", str(data.path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            while True:
                code = process.poll()
                for line in lines:
                    click.echo(line, nl=False)
                    if line == "ready\n":
                        click.echo(f"running in the background as process {process.pid} (log: {log})")
                        return 0
                if code is not None:
                    return code or 1
                await asyncio.sleep(POLL_SECONDS)
        except BaseException:
            process.terminate()
            while process.poll() is None:
                if stop.hurry.is_set():
                    process.terminate()
                    stop.hurry.clear()
                await asyncio.sleep(POLL_SECONDS)
            raise
