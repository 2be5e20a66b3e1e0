"""Start of the operator's process: settings, logs, signals, the event loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys

import uvloop
from pydantic import ValidationError

from polecat_kube.connection import connect
from polecat_kube.errors import ConfigurationError
from polecat_operator.app import Operator
from polecat_operator.errors import LeaseLostError
from polecat_operator.settings import Settings

log = logging.getLogger("polecat_operator")


def main() -> int:
    """Runs the operator. Exit status 0 after SIGTERM or SIGINT, 1 after a failure, 2 for unusable settings."""
    try:
        settings = Settings()
        connection = connect()
    except (ValidationError, ConfigurationError) as error:
        print(f"polecat operator: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # Most objects live as long as the cache; looking through them often is what costs.
    gc.set_threshold(20_000, 50, 50)

    async def run() -> int:
        operator = Operator(connection, settings)
        loop = asyncio.get_running_loop()

        def end() -> None:
            operator.stop.set()

        def install() -> None:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, end)

        install()
        try:
            await operator.run(install)
        except LeaseLostError as error:
            log.error("ends: %s", error)
            return 1
        return 0

    return uvloop.run(run())
