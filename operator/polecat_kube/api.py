"""Requests to the API server over one bounded session."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp

from polecat_kube.connection import Connection
from polecat_kube.errors import ApiError, NotFoundError, UnavailableError, UnknownOutcomeError, from_status
from polecat_kube.resources import ResourceType

Json = dict[str, Any]
Page = list[Json]
JsonPatch = Sequence[Mapping[str, Any]]
PAGE_SIZE = 500
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
"""Between two tries while the API server is away: an outage is over for us so much later than for the server."""
LONGEST_ASKED_SECONDS = 30.0
"""What a server may ask for by Retry-After."""
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class KubeApi:
    """Typed verbs on one API server, as one identity. Use it as an async context manager.

    At most `connections` requests are under way at once; watches come on top. Every request has a deadline of
    `timeout_seconds`, which begins when it is sent: waiting for others of this program says nothing about the
    server. What must never wait behind others has a KubeApi of its own. Errors are of `polecat_kube.errors`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        connections: int = 16,
        timeout_seconds: float = 20.0,
        manager: str = "polecat",
        middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
    ) -> None:
        """`middlewares` see every request, as those of aiohttp do."""
        self.connection = connection
        self._middlewares = tuple(middlewares)
        self._manager = manager
        self._slots = asyncio.Semaphore(connections)
        self._timeout_seconds = timeout_seconds
        # No deadline of its own for connecting: it includes the TLS handshake, which takes an answer of the server.
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        tls = self.connection.ssl_context()
        self._session = aiohttp.ClientSession(
            base_url=self.connection.server,
            connector=aiohttp.TCPConnector(limit=0, ssl=tls if tls is not None else True),
            timeout=self._timeout,
            headers={"Accept": "application/json", "User-Agent": self._manager},
            middlewares=self._middlewares,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, resource: ResourceType, namespace: str | None, name: str) -> Json | None:
        """The object, or None when it does not exist."""
        try:
            return await self._send("GET", resource.path(namespace, name))
        except NotFoundError:
            return None

    async def list(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> tuple[list[Json], str]:
        """All objects, read in pages, and the resource version to watch from."""
        items: list[Json] = []
        last = ""
        async for page, version in self._pages(resource, namespace, label_selector, field_selector):
            items += page
            last = version
        return items, last

    async def pages(
        self, resource: ResourceType, namespace: str | None = None, label_selector: str | None = None
    ) -> AsyncIterator[Page]:
        """All objects, page after page, for who need not have them in memory all at once."""
        async for page, _ in self._pages(resource, namespace, label_selector):
            yield page

    async def metadata(self, resource: ResourceType, namespace: str | None = None) -> AsyncIterator[Page]:
        """The metadata of all objects, page after page; the server sends nothing else of them."""
        async for page, _ in self._pages(resource, namespace, accept=_METADATA_ONLY):
            yield page

    async def _pages(
        self,
        resource: ResourceType,
        namespace: str | None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        accept: str | None = None,
    ) -> AsyncIterator[tuple[Page, str]]:
        query = {"limit": str(PAGE_SIZE)}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        while True:
            page = await self._send("GET", resource.path(namespace), query=query, accept=accept)
            yield page.get("items") or [], page["metadata"]["resourceVersion"]
            if not page["metadata"].get("continue"):
                return
            query["continue"] = page["metadata"]["continue"]

    async def create(self, resource: ResourceType, namespace: str | None, body: Json, *, dry_run: bool = False) -> Json:
        """The created object. Raises AlreadyExistsError, and UnknownOutcomeError when no answer came.

        With `dry_run` the server checks everything and stores nothing.
        """
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        query = {"fieldManager": self._manager, **({"dryRun": "All"} if dry_run else {})}
        return await self._send("POST", resource.path(namespace), query=query, body=full)

    async def update(self, resource: ResourceType, namespace: str | None, name: str, body: Json) -> Json:
        """Replaces the object; its `metadata.resourceVersion` is the precondition (ConflictError)."""
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        query = {"fieldManager": self._manager}
        return await self._send("PUT", resource.path(namespace, name), query=query, body=full)

    async def patch_json(
        self, resource: ResourceType, namespace: str | None, name: str, patch: JsonPatch, subresource: str | None = None
    ) -> Json:
        """Applies a JSON Patch; a failed `test` in it raises ConflictError.

        A `test` with the value None holds when the field is absent, also when its parent is.
        """
        query = {"fieldManager": self._manager}
        path = resource.path(namespace, name, subresource)
        return await self._send("PATCH", path, query=query, body=list(patch), patch="json")

    async def patch_merge(
        self, resource: ResourceType, namespace: str | None, name: str, body: Json, subresource: str | None = None
    ) -> Json:
        """Applies a JSON Merge Patch: None removes a field.

        It has no preconditions: on the status of a custom resource even `metadata.uid` in the body is ignored.
        Where an object's identity matters, use `patch_json` with a `test` on `/metadata/uid`.
        """
        query = {"fieldManager": self._manager}
        path = resource.path(namespace, name, subresource)
        return await self._send("PATCH", path, query=query, body=body, patch="merge")

    async def apply(
        self,
        resource: ResourceType,
        namespace: str | None,
        name: str,
        body: Json,
        subresource: str | None = None,
        manager: str | None = None,
    ) -> Json:
        """Server-side apply: the fields in `body`, and no others, are then this manager's."""
        full = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            **body,
            "metadata": {**body.get("metadata", {}), "name": name},
        }
        query = {"fieldManager": manager or self._manager, "force": "true"}
        path = resource.path(namespace, name, subresource)
        return await self._send("PATCH", path, query=query, body=full, patch="apply")

    async def delete(
        self,
        resource: ResourceType,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: Literal["Background", "Orphan"] = "Background",
    ) -> bool:
        """Deletes the object, if `uid` is given only that life of it (ConflictError). False if it was not there.

        What it owns is deleted after it; with the propagation Orphan it stays, and has no owner any more.
        """
        body: Json = {"propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._send("DELETE", resource.path(namespace, name), body=body)
        except NotFoundError:
            return False
        return True

    async def raw(self, path: str) -> str:
        """The text at a path such as `/readyz` or `/metrics`."""
        with _translated(f"GET {path}", ambiguous=False):
            async with self._slots, self._request("GET", path) as response:
                return await response.text()

    async def server_time(self) -> datetime | None:
        """What the server's clock shows, in whole seconds; None when its answer does not tell."""
        with _translated("GET /version", ambiguous=False):
            async with self._slots, self._request("GET", "/version") as response:
                told = response.headers.get("Date")
        try:
            return parsedate_to_datetime(told).astimezone(UTC) if told else None
        except ValueError:
            return None

    async def watch(
        self,
        resource: ResourceType,
        namespace: str | None,
        resource_version: str,
        label_selector: str | None = None,
        timeout_seconds: int = 290,
        *,
        silent_seconds: float = 90.0,
    ) -> AsyncIterator[tuple[str, Json]]:
        """(type, object) of each change: ADDED, MODIFIED, DELETED, BOOKMARK. Ends after `timeout_seconds`.

        Raises GoneError when `resource_version` is too old, UnavailableError when the stream breaks or says nothing
        for `silent_seconds`: the server sends bookmarks about every minute, and one before the end.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        if label_selector:
            query["labelSelector"] = label_selector
        path = resource.path(namespace)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout_seconds, sock_read=silent_seconds)
        try:
            async with self._request("GET", path, query=query, timeout=timeout) as response:
                async for line in _lines(response.content):
                    change = json.loads(line)
                    if change["type"] == "ERROR":
                        status = change["object"]
                        raise from_status(f"watch {path}", int(status.get("code", 500)), status)
                    yield change["type"], change["object"]
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
            raise UnavailableError(f"watch {path}", f"the stream broke: {error!r}") from error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        patch: Literal["json", "merge", "apply"] | None = None,
        accept: str | None = None,
    ) -> Json:
        request = self._request(method, path, query=query, body=body, patch=patch, accept=accept)
        with _translated(f"{method} {path}", ambiguous=method != "GET"):
            async with self._slots, request as response:
                return dict(await response.json(content_type=None))

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        patch: Literal["json", "merge", "apply"] | None = None,
        accept: str | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("KubeApi is used outside of its context")
        headers = {} if accept is None else {"Accept": accept}
        if token := self.connection.current_token():
            headers["Authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            headers["Content-Type"] = _PATCHES[patch] if patch else "application/json"
            data = json.dumps(body, separators=(",", ":")).encode()
        async with self._session.request(
            method, path, params=query, data=data, headers=headers, timeout=timeout or self._timeout
        ) as response:
            if response.status >= 400:
                raise await _error(f"{method} {path}", response)
            yield response


@contextmanager
def _translated(what: str, *, ambiguous: bool) -> Iterator[None]:
    """Connection errors as errors of ours: no connection, or no answer to a request that may have been carried out."""
    try:
        yield
    except (aiohttp.ClientConnectorError, ConnectionRefusedError) as error:
        raise UnavailableError(what, f"the API server can't be reached: {error}") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        kind = UnknownOutcomeError if ambiguous else UnavailableError
        raise kind(what, f"no answer: {error!r}") from error


async def _error(what: str, response: aiohttp.ClientResponse) -> ApiError:
    text = await response.text()
    try:
        body = json.loads(text)
    except json.JSONDecodeError:
        body = {"message": text[:500]}
    return from_status(what, response.status, body, response.headers.get("Retry-After"))


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; `StreamReader.readline` refuses long ones."""
    rest = b""
    async for chunk in stream.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line
    if rest:
        yield rest


async def sleep_before_retry(error: ApiError, attempt: int, *, longest_seconds: float = LONGEST_PAUSE_SECONDS) -> None:
    """Waits as the server asked, else twice as long after each failure: about 0.2 s, 0.4 s, … `longest_seconds`."""
    await asyncio.sleep(pause_before_retry(error.retry_after_seconds, attempt, longest_seconds))


def pause_before_retry(asked_seconds: float | None, attempt: int, longest_seconds: float) -> float:
    """Seconds; shortened by up to a fifth, as after an outage all come back at once."""
    if asked_seconds is not None:
        return min(asked_seconds, LONGEST_ASKED_SECONDS)
    longest = min(FIRST_PAUSE_SECONDS * 2.0 ** min(attempt, 20), longest_seconds)
    return longest * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, no secret
