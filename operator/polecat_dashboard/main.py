"""Start of the dashboard's process: settings, logs, signals, the event loop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import uvloop
from pydantic import ValidationError

from polecat_dashboard.app import Dashboard
from polecat_dashboard.settings import Settings
from polecat_kube.connection import connect
from polecat_kube.errors import ConfigurationError

log = logging.getLogger("polecat_dashboard")


def main() -> int:
    """Runs the dashboard. Exit status 0 after SIGTERM or SIGINT, 1 after a failure, 2 for unusable settings."""
    try:
        settings = Settings()
        connection = connect()
    except (ValidationError, ConfigurationError) as error:
        print(f"polecat dashboard: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)

    async def run() -> int:
        dashboard = Dashboard(settings, connection)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, dashboard.stop.set)
        try:
            await dashboard.run()
        except OSError as error:
            log.error("ends: %s", error)
            return 1
        return 0

    return uvloop.run(run())
