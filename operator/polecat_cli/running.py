"""Runs one piece of asynchronous work as a command: signals end it, and known errors become one sentence."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from polecat_kube.errors import ApiError, ConfigurationError
from polecat_local.errors import LocalError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Stop:
    """What the user has asked for by signals: the first SIGINT or SIGTERM cancels, the second hurries."""

    def __init__(self) -> None:
        self.hurry = asyncio.Event()
        """Set by the second signal: clean up without waiting for anybody."""
        self._task: asyncio.Task[int] | None = None
        self._asked = False

    def watch(self, task: "asyncio.Task[int]") -> None:
        """From now on signals act on `task`."""
        self._task = task
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signalled)

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self._asked

    def _signalled(self) -> None:
        if self._asked:
            self.hurry.set()
        elif self._task is not None:
            self._asked = True
            self._task.cancel()


def run_command(work: Callable[[Stop], Awaitable[int]]) -> None:
    """Runs `work` and ends the program with its exit code; 1 and one sentence for errors that users cause."""
    try:
        code = asyncio.run(_guarded(work))
    except (LocalError, ApiError, ConfigurationError) as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except BrokenPipeError:
        # Whoever read our output is gone; the interpreter must not try to flush it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


async def _guarded(work: Callable[[Stop], Awaitable[int]]) -> int:
    stop = Stop()

    async def body() -> int:
        return await work(stop)

    task = asyncio.create_task(body())
    stop.watch(task)
    try:
        return await task
    except asyncio.CancelledError:
        if not stop.asked:
            raise
        return INTERRUPTED
