"""kopf, as far as it is used: it watches, and hands each event over. Nothing else in the operator knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import aiohttp

from polecat_api import GROUP, VERSION
from polecat_kube.connection import Connection
from polecat_kube.informer import SILENT_SECONDS, WATCH_SECONDS
from polecat_kube.resources import BEAD, POLECAT, RIG, TOWN, ResourceType
from polecat_operator.intake import Intake
from polecat_operator.lean_kopf import ResourceMemories, ResourceMemory, kopf
from polecat_operator.metrics import REQUESTS

CONNECTIONS = 8
"""One for each watch, and some for lists."""
KINDS = (TOWN, RIG, POLECAT, BEAD)
Listed = Callable[[ResourceType, str | None], None]
"""Called with a kind and a namespace (None for all) that kopf has read anew, and watches from there on."""


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf keeps no last-handled state on our objects: decisions are made from what is, not from differences."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> Any:
        return {}  # the inherited one makes a deep copy of the object at each event

    def fetch(self, *, body: kopf.Body) -> None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """kopf keeps no handler progress on our objects."""

    def fetch(self, *, key: Any, body: kopf.Body) -> None:
        return None

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        return None

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        return None

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


class _NoMemories(ResourceMemories):
    """kopf keeps no memo of each object: some two kilobytes for each that exists."""

    async def recall(self, raw_body: Any, *, ephemeral: bool = False, **more: Any) -> ResourceMemory:
        return await super().recall(raw_body, ephemeral=True, **more)


def kopf_settings() -> kopf.OperatorSettings:
    """Everything of kopf that writes or polls is off."""
    settings = kopf.OperatorSettings()
    settings.persistence.finalizer = f"{GROUP}/kopf-unused"
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.queueing.idle_timeout = 0.02
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.inactivity_timeout = SILENT_SECONDS
    settings.networking.request_timeout = 20
    settings.networking.connect_timeout = 20  # it includes the TLS handshake: as long as an answer may take
    settings.posting.enabled = False
    settings.scanning.disabled = True
    return settings


class ListWatcher:
    """Sees which lists kopf reads. It tells nobody of what has gone when it reads one: somebody else has to look."""

    def __init__(self, on_listed: Listed, namespaces: Collection[str]) -> None:
        self._on_listed = on_listed
        self._paths = {kind.path(each): (kind, each) for kind in KINDS for each in namespaces or (None,)}
        self._listed: set[str] = set()

    async def middleware(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """A list has been read when it is watched from there."""
        path = request.url.path
        if path in self._paths:
            if "watch" not in request.url.query:
                self._listed.add(path)
            elif path in self._listed:
                self._listed.discard(path)
                self._on_listed(*self._paths[path])
        return await handler(request)


def registry_for(intake: Intake, connection: Connection, lists: ListWatcher) -> kopf.OperatorRegistry:
    """Handlers for the four kinds, and a login with the connection that the rest of the operator uses."""
    registry = kopf.OperatorRegistry()
    for resource in KINDS:
        _watch(registry, resource, intake)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return session_for(connection, lists)

    return registry


def _watch(registry: kopf.OperatorRegistry, resource: ResourceType, intake: Intake) -> None:
    @kopf.on.event(GROUP, VERSION, resource.plural, id=f"watch-{resource.plural}", registry=registry)
    async def handler(event: Any, **_: Any) -> None:
        intake.take(resource.kind, event["object"], deleted=event["type"] == "DELETED")


def session_for(connection: Connection, lists: ListWatcher) -> kopf.AiohttpSession:
    """A bounded session; the token is read again for each request, as it is rotated."""

    async def authorize(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if token := connection.current_token():
            request.headers["Authorization"] = f"Bearer {token}"
        return await handler(request)

    tls = connection.ssl_context()
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=tls if tls is not None else True),
        middlewares=(authorize, REQUESTS.middleware, lists.middleware),
    )
    return kopf.AiohttpSession(
        server=connection.server, aiohttp_session=session, default_namespace=connection.namespace
    )


async def watch_for_ever(
    intake: Intake,
    connection: Connection,
    ready: asyncio.Event,
    stop: asyncio.Event,
    on_listed: Listed,
    namespaces: Collection[str] = (),
) -> None:
    """Runs kopf until `stop` is set; `ready` is set when its watches are being set up."""
    await kopf.operator(
        registry=registry_for(intake, connection, ListWatcher(on_listed, namespaces)),
        settings=kopf_settings(),
        memories=_NoMemories(),
        clusterwide=not namespaces,
        namespaces=namespaces,
        standalone=True,
        ready_flag=ready,
        stop_flag=stop,
    )
