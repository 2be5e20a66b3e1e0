"""`python -m polecat_town`: the supervisor of one town pod."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from pydantic import ValidationError

from polecat_kube.api import KubeApi
from polecat_kube.connection import connect
from polecat_kube.errors import ConfigurationError
from polecat_town import logs
from polecat_town.metrics import REQUESTS
from polecat_town.pod.guard import become_subreaper, become_unreadable
from polecat_town.settings import Settings
from polecat_town.town import PartEndedError, TownPodProgram

_CONNECTIONS = 32
_MANAGER = "polecat-town"


async def _run(settings: Settings) -> None:
    if sys.version_info < (3, 12) and hasattr(os, "pidfd_open"):
        # From 3.12 on it is the default; before, a thread would wait for each process.
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.set_child_watcher(watcher)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connection = connect()
    measured = (REQUESTS.middleware,)
    async with (
        KubeApi(connection, connections=_CONNECTIONS, manager=_MANAGER, middlewares=measured) as api,
        KubeApi(connection, connections=1, manager=_MANAGER, middlewares=measured) as lease_api,
    ):
        await TownPodProgram(settings, api, lease_api).run(stop)


def main() -> int:
    """The exit code: 0 after a drain, 2 for wrong settings."""
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            print(f"POLECAT_TOWN_{name}: {problem['msg']}", file=sys.stderr)
        return 2
    logs.set_up(settings.log_level, settings.name)
    become_subreaper()
    become_unreadable()
    try:
        asyncio.run(_run(settings))
    except (ConfigurationError, PartEndedError, OSError) as error:
        logging.getLogger("polecat_town").critical("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
