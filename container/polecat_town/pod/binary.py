"""Whether the Kilo CLI is there and runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

_VERSION_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Binary:
    """What a try of the CLI has shown."""

    path: Path | None
    """The program, absolute; None if it does not run."""
    version: str = ""
    message: str = ""
    """Why it does not run, with the path that was tried."""

    @property
    def ok(self) -> bool:
        """Whether agents can be started."""
        return self.path is not None


async def check_binary(wanted: Path) -> Binary:
    """Runs `kilo --version` in a home of its own."""
    found = shutil.which(str(wanted))
    if found is None:
        what = "is not an executable file" if wanted.exists() else "does not exist"
        where = "" if "/" in str(wanted) else " in PATH"
        return Binary(None, message=f"the Kilo CLI {wanted} {what}{where}")
    path = Path(found).absolute()
    with tempfile.TemporaryDirectory(prefix="polecat-kilo-") as home:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "TMPDIR": home}
        try:
            process = await asyncio.create_subprocess_exec(
                str(path),
                "--version",
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return Binary(None, message=f"the Kilo CLI {path} can't be run: {error.strerror}")
        try:
            async with asyncio.timeout(_VERSION_SECONDS):
                output, _ = await process.communicate()
        except TimeoutError:
            return Binary(None, message=f"the Kilo CLI {path} --version gave no answer in {_VERSION_SECONDS:g} s")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
    text = output.decode("utf-8", "replace").strip()
    if process.returncode != 0:
        return Binary(None, message=f"the Kilo CLI {path} --version ended with {process.returncode}: {text[-300:]}")
    return Binary(path, version=text[-100:])
