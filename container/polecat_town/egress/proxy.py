"""An HTTP proxy on loopback: names are resolved here, addresses judged, and just those connected to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address

from polecat_town import metrics
from polecat_town.egress.requests import HEAD_BYTES, BadRequestError, ProxyRequest, parse_request
from polecat_town.egress.rules import Address, Rules
from polecat_town.egress.upstream import Upstream, Upstreams

log = logging.getLogger(__name__)
CONNECTIONS = 256
"""At once, of all agents together; more are sent away."""
RESOLVERS = 8
"""Names looked up at once, in threads of their own: an agent that asks for names nobody answers for must not keep the
supervisor's other threads busy."""
HEAD_SECONDS = 30.0
CONNECT_SECONDS = 15.0
RESOLVE_SECONDS = 3.0
"""For a name that another proxy will resolve anyway: the pod's own resolver may know nothing of the world."""
_CHUNK_BYTES = 1 << 16
_TOLD = 200
"""So many refused targets are logged, each once: an agent can't fill the log."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class RefusedError(Exception):
    """The target may not be reached; the message says why."""


class EgressProxy:
    """Serves all agents of this pod."""

    def __init__(self, rules: Callable[[], Rules], upstreams: Upstreams) -> None:
        """`rules` gives those of the moment."""
        self._rules = rules
        self._upstreams = upstreams
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()
        self._resolvers = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="egress")

    async def start(self) -> str:
        """Listens on a free port; gives the proxy's URL."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=HEAD_BYTES, backlog=CONNECTIONS)
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stops listening, and breaks off what is under way."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outcome = "failed"
        try:
            if len(self._tasks) > CONNECTIONS:
                outcome = "too many"
                return await _answer(writer, 503, "the proxy has too many connections")
            async with asyncio.timeout(HEAD_SECONDS):
                request = parse_request(await reader.readuntil(b"\r\n\r\n"))
            server = await self._reach(request)
            outcome = "passed"
            await _pass_on((reader, writer), server, request)
        except RefusedError as error:
            outcome = "refused"
            self._tell(str(error))
            await _answer(writer, 403, str(error))
        except BadRequestError as error:
            outcome = "malformed"
            await _answer(writer, 400, str(error))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            outcome = "malformed"
            await _answer(writer, 400, "no head of a request came")
        except (OSError, TimeoutError) as error:
            await _answer(writer, 502, f"the host can't be reached: {error or 'it does not answer'}")
        finally:
            metrics.EGRESS_CONNECTIONS.labels(outcome).inc()
            writer.close()

    def _tell(self, why: str) -> None:
        if why not in self._told and len(self._told) < _TOLD:
            self._told.add(why)
            log.warning("an agent was not let out: %s", why)

    async def _reach(self, request: ProxyRequest) -> Streams:
        """A connection on which the client's bytes can follow."""
        rules = self._rules()
        upstream = self._upstreams.choose(request.host, tunnel=request.tunnel)
        async with asyncio.timeout(CONNECT_SECONDS):
            if upstream is not None:
                await self._judge_for_upstream(rules, request)
                return await _through(upstream, request)
            addresses = await self._resolve(request)
            _judge(rules, request.host, addresses)
            server = await _connect(addresses, request.port)
        if not request.tunnel:
            server[1].write(request.head(request.path))
        return server

    async def _judge_for_upstream(self, rules: Rules, request: ProxyRequest) -> None:
        """The other proxy resolves the name anew, and sees to its own network; what is known here is refused here."""
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                addresses = await self._resolve(request)
        except (OSError, TimeoutError):
            if why := rules.refused_name(request.host):
                raise RefusedError(why) from None
            return
        _judge(rules, request.host, addresses)

    async def _resolve(self, request: ProxyRequest) -> list[Address]:
        look_up = partial(socket.getaddrinfo, request.host, request.port, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._resolvers, look_up)
        except UnicodeError as error:
            raise OSError("it is no name of a host") from error
        return list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))


def _judge(rules: Rules, host: str, addresses: Sequence[Address]) -> None:
    for address in addresses:
        if why := rules.refusal(host, address):
            raise RefusedError(why)


async def _connect(addresses: Sequence[Address], port: int) -> Streams:
    """To the first address that answers. Raises OSError, TimeoutError."""
    failure: Exception = OSError("it has no address")
    for address in addresses:
        try:
            async with asyncio.timeout(CONNECT_SECONDS / len(addresses)):
                reader, writer = await asyncio.open_connection(str(address), port)
        except (OSError, TimeoutError) as error:
            failure = error
            continue
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return reader, writer
    raise failure


async def _through(upstream: Upstream, request: ProxyRequest) -> Streams:
    """A connection by way of another proxy. Raises OSError, with its answer, when that does not want to."""
    context = ssl.create_default_context() if upstream.tls else None
    reader, writer = await asyncio.open_connection(upstream.host, upstream.port, ssl=context, limit=HEAD_BYTES)
    extra = [f"Proxy-Authorization: {upstream.authorization}"] if upstream.authorization else []
    if not request.tunnel:
        writer.write(request.head(f"http://{request.authority}{request.path}", *extra))
        return reader, writer
    lines = [f"CONNECT {request.authority} HTTP/1.1", f"Host: {request.authority}", *extra, "", ""]
    writer.write("\r\n".join(lines).encode("latin-1"))
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
        status = answer.split(b"\r\n", 1)[0].decode("latin-1")
        if status.split(" ")[1:2] != ["200"]:
            raise OSError(f"the pod's own proxy answered {status[:200]}")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        writer.close()
        raise OSError("the pod's own proxy gave no answer") from error
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def _pass_on(client: Streams, server: Streams, request: ProxyRequest) -> None:
    """Bytes both ways, until both sides have said all."""
    try:
        if request.tunnel:
            client[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(client[0], server[1]))
            both.create_task(_pump(server[0], client[1]))
    except* OSError:
        pass  # one side broke off; the other is closed as well
    finally:
        server[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(NotImplementedError):  # TLS to an upstream proxy has no half-closed state
        writer.write_eof()


async def _answer(writer: asyncio.StreamWriter, status: int, message: str) -> None:
    body = f"{message}\n".encode()
    reason = {400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway", 503: "Service Unavailable"}[status]
    lines = [f"HTTP/1.1 {status} {reason}", "Content-Type: text/plain", f"Content-Length: {len(body)}"]
    head = "\r\n".join([*lines, "Connection: close", "", ""])
    with contextlib.suppress(OSError):
        writer.write(head.encode() + body)
        await writer.drain()
