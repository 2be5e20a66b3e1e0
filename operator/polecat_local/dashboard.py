"""Where the dashboard of a data directory is, and one-time links to it for the user of this machine."""

import asyncio
import html
import json
import os
from pathlib import Path

from polecat_local import install
from polecat_local.datadir import DataDir
from polecat_local.errors import LocalError, NotReadyError
from polecat_local.paths import write_private
from polecat_local.ports import HOST, read_port

TOKEN_HOURS = 24
"""A browser stays signed in for a day at most."""
ANSWER_SECONDS = 15.0
START_SECONDS = 20.0
POLL_SECONDS = 0.1


def dashboard_url(data: DataDir) -> str | None:
    """The address of the page; None when there never was one."""
    port = read_port(data.dashboard_port)
    return f"http://{HOST}:{port}" if port is not None else None


async def make_link(data: DataDir) -> str:
    """A link that opens the dashboard once, signed in, within a minute.

    Waits a little for a dashboard that has just been started. Raises LocalError when there is none.
    """
    token = await install.service_account_token(
        data.kubectl, data.kubeconfig, install.SYSTEM_NAMESPACE, install.USER_ACCOUNT, hours=TOKEN_HOURS
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    return await _ask(data, token)
                except (FileNotFoundError, ConnectionError):
                    await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise NotReadyError(f"the dashboard does not answer (log: {data.logs / 'dashboard.log'})") from None


def link_file(data: DataDir, link: str) -> Path:
    """A private page that leads to the link: a browser's command line is seen by every user of the machine."""
    path = data.path / "dashboard.html"
    write_private(path, f'<!doctype html><meta http-equiv="refresh" content="0;url={html.escape(link)}">')
    return path


async def _ask(data: DataDir, token: str) -> str:
    # Through the descriptor of its directory: the path of a Unix socket must be short, that of a directory need not.
    directory = os.open(data.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/{data.dashboard_socket.name}")
    finally:
        os.close(directory)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            writer.write(json.dumps({"token": token}).encode() + b"\n")
            return str(json.loads(await reader.readline())["link"])
    except (ValueError, KeyError, TypeError):
        raise LocalError("the dashboard gave no link") from None
    finally:
        writer.close()
