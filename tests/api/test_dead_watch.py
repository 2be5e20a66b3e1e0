"""A connection that leads nowhere any more, without anybody having closed it: as after a router has lost its table."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from polecat_kube import informer
from polecat_kube.api import KubeApi
from polecat_kube.informer import Informer
from polecat_kube.resources import BEAD
from polecat_operator import handlers
from polecat_operator.board import Board
from polecat_operator.clock import Clock
from polecat_operator.handlers import watch_for_ever
from polecat_operator.intake import Intake
from polecat_operator.queue import KeyedQueue
from polecat_operator.routing import Router
from polecat_operator.settings import Settings
from support.control_plane import SharedControlPlane
from support.played_town import eventually
from support.tcp_proxy import TcpProxy


@pytest.fixture(autouse=True)
def quick_to_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second or two instead of half a minute."""
    for module in (informer, handlers):
        monkeypatch.setattr(module, "WATCH_SECONDS", 1)
        monkeypatch.setattr(module, "SILENT_SECONDS", 2)


@pytest.fixture
async def proxy(control_plane: SharedControlPlane) -> AsyncIterator[TcpProxy]:
    """The way to the API server."""
    server = urlsplit(control_plane.connection.server)
    async with TcpProxy() as made:
        made.target = (server.hostname or "", server.port or 0)
        yield made


async def create_bead(api: KubeApi, namespace: str, name: str) -> None:
    spec = {"rigRef": {"name": "none"}, "title": name, "prompt": name}
    await api.create(BEAD, namespace, {"metadata": {"name": name}, "spec": spec})


async def seen(names: Any, name: str) -> None:
    """Comes back when a (namespace, name) of this name is among them."""

    async def look() -> bool:
        return any(key[1] == name for key in names)

    await eventually(look)


async def test_an_informer_notices(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, proxy: TcpProxy
) -> None:
    connection = replace(control_plane.connection, server=proxy.url)
    async with KubeApi(connection) as api:
        watched = Informer(api, BEAD, namespace, lambda old, new: None)
        task = asyncio.create_task(watched.run())
        await watched.synced.wait()
        await create_bead(kube_api, namespace, "before")
        await seen(watched.store, "before")
        proxy.strand()
        await create_bead(kube_api, namespace, "after")
        await seen(watched.store, "after")
        task.cancel()


async def test_the_watches_of_the_operator_notice(
    control_plane: SharedControlPlane, kube_api: KubeApi, namespace: str, proxy: TcpProxy
) -> None:
    connection = replace(control_plane.connection, server=proxy.url)
    cache = Router(KeyedQueue(later_limit=1), Board(), Settings(), Clock()).cache
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(watch_for_ever(Intake(cache), connection, ready, stop, lambda *_: None, [namespace]))
    try:
        await create_bead(kube_api, namespace, "before")
        await seen(cache.beads.items, "before")
        proxy.strand()
        await create_bead(kube_api, namespace, "after")
        await seen(cache.beads.items, "after")
    finally:
        stop.set()
        await asyncio.wait([task], timeout=2.0)
        task.cancel()
