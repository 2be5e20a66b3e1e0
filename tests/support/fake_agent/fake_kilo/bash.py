"""The `bash` tool: one shell command in the session's directory."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from threading import Event
from typing import Any

DEFAULT_SECONDS = 120.0
MAX_OUTPUT = 30000
HIDDEN = ("KILO_SERVER_PASSWORD", "KILO_CONFIG_CONTENT")
"""Variables of this process that commands don't get."""
GRACE_SECONDS = 1.0

SCHEMA: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Executes a given command in a shell.",
        "parameters": {
            "type": "object",
            "properties": {
                "command": {"type": "string"},
                "timeout": {"type": "integer", "description": "Optional timeout in milliseconds"},
                "description": {"type": "string"},
            },
            "required": ["command"],
        },
    },
}


def run(
    command: str, directory: str, timeout: float, aborted: Event, on_output: Callable[[str], None]
) -> tuple[str, int | None]:
    """(output, exit code or None). `aborted` is an Event that ends it; `on_output(text)` gets all output so far.

    Like the CLI's, the command gets a session of its own, and what it leaves in the background goes on.
    """
    env = {key: value for key, value in os.environ.items() if key not in HIDDEN}
    env.update(AGENT="1", KILO="1", OPENCODE="1", KILO_PID=str(os.getpid()))
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    end = time.monotonic() + timeout
    assert process.stdout is not None
    output = b""
    ended = ""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            exited = process.poll() is not None
            if selector.select(0 if exited else 0.05):
                block = os.read(process.stdout.fileno(), 65536)
                output = (output + block)[-MAX_OUTPUT:]
                if block:
                    on_output(output.decode("utf-8", "replace"))
                    continue
                process.wait()
                break
            if exited:
                break  # a daemon still holds the pipe
            if aborted.is_set():
                ended = "User aborted the command"
            elif time.monotonic() > end:
                ended = f"bash tool terminated command after exceeding timeout {int(timeout * 1000)} ms"
            if ended:
                _end(process)
                break
    process.stdout.close()
    text = output.decode("utf-8", "replace")
    if ended:
        return f"{text}\n\n<shell_metadata>\n{ended}\n</shell_metadata>", None
    return text or "(no output)", process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE_SECONDS)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
