"""The proxy through which agents reach the world: real sockets, real clients, on addresses of loopback."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from polecat_town.domain.domain import Command, agent_domain, agent_environment, run_in_domain
from polecat_town.domain.grants import prefix_of
from polecat_town.domain.launch import NETWORK_ABI, abi_version
from polecat_town.domain.network import proxied_network
from polecat_town.egress import proxy as proxy_module
from polecat_town.egress.proxy import EgressProxy
from polecat_town.egress.rules import PRIVATE, make_rules
from polecat_town.egress.upstream import Upstreams, read_upstreams

WORLD = "127.0.0.2"
"""An address that stands for the world: the rules let it through, and it is not among those that need no proxy."""


@dataclass
class Site:
    """A web server on WORLD."""

    port: int
    seen: list[web.Request]

    @property
    def url(self) -> str:
        return f"http://{WORLD}:{self.port}"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Answers with what it was sent."""
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        body = (await request.read()).decode()
        return web.json_response({"path": request.path_qs, "body": body, "headers": dict(request.headers)})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, WORLD, 0).start()
    yield Site(runner.addresses[0][1], seen)
    await runner.cleanup()


@asynccontextmanager
async def proxying(
    allow: str = WORLD, upstreams: Upstreams | None = None, api: str = "127.0.0.3"
) -> AsyncIterator[str]:
    """URL of a proxy with these rules."""
    rules = make_rules(allow, PRIVATE, api_server=[ip_address(api)])
    proxy = EgressProxy(lambda: rules, upstreams or Upstreams())
    url = await proxy.start()
    try:
        yield url
    finally:
        await proxy.stop()


async def fetch(proxy: str, url: str, body: str | None = None) -> tuple[int, str]:
    """Status and text, as a common client gets them."""
    async with (
        aiohttp.ClientSession() as session,
        session.request("POST" if body else "GET", url, data=body, proxy=proxy) as answer,
    ):
        return answer.status, await answer.text()


async def tunnel(proxy: str, authority: str, *lines: str) -> tuple[str, asyncio.StreamReader, asyncio.StreamWriter]:
    """The first line of the answer to CONNECT, and the connection."""
    host, _, port = proxy.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write("\r\n".join([f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *lines, "", ""]).encode("latin-1"))
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    return head.splitlines()[0], reader, writer


async def test_requests_are_passed_on(site: Site) -> None:
    async with proxying() as proxy:
        status, text = await fetch(proxy, f"{site.url}/a%20b?c=d", "x" * 300_000)
    got = json.loads(text)
    assert (status, got["path"], len(got["body"])) == (200, "/a%20b?c=d", 300_000)
    assert got["headers"]["Host"] == f"{WORLD}:{site.port}"


async def test_tunnels_are_passed_on(site: Site) -> None:
    async with proxying() as proxy:
        first, reader, writer = await tunnel(proxy, f"{WORLD}:{site.port}")
        assert first == "HTTP/1.1 200 Connection established"
        writer.write(b"GET /through HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert '"path": "/through"' in (await reader.read()).decode()
        writer.close()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.3",
        "[::ffff:127.0.0.3]", "169.254.169.254", "10.0.0.1", "[fd00:ec2::254]",
    ],
)  # fmt: skip
async def test_what_is_inside_is_refused_under_every_name(site: Site, host: str) -> None:
    async with proxying() as proxy:
        first, reader, writer = await tunnel(proxy, f"{host}:{site.port}")
        assert first == "HTTP/1.1 403 Forbidden"
        assert (await reader.read()).decode().strip().startswith(host.strip("[]"))
        writer.close()
    assert not site.seen


async def test_the_api_server_is_refused_even_if_it_is_allowed() -> None:
    async with proxying("127.0.0.0/8") as proxy:
        first, reader, writer = await tunnel(proxy, "127.0.0.3:6443")
        assert first == "HTTP/1.1 403 Forbidden"
        assert "API server" in (await reader.read()).decode()
        writer.close()


async def test_who_is_not_there_and_what_is_no_request() -> None:
    async with proxying("127.0.0.0/8,unknown.invalid") as proxy:
        assert (await tunnel(proxy, f"{WORLD}:1"))[0] == "HTTP/1.1 502 Bad Gateway"
        assert (await tunnel(proxy, "unknown.invalid:443"))[0] == "HTTP/1.1 502 Bad Gateway"
        for name in ("\xff\xfe.example", "a" * 64 + ".example", "a..b"):
            assert (await tunnel(proxy, f"{name}:443"))[0] == "HTTP/1.1 502 Bad Gateway"
        assert (await tunnel(proxy, "nothing"))[0] == "HTTP/1.1 400 Bad Request"
        assert (await fetch(proxy, f"http://{WORLD}:1/"))[0] == 502


async def test_more_connections_than_it_can_bear_are_sent_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_module, "CONNECTIONS", 3)
    async with proxying() as proxy:
        taken = [await tunnel(proxy, f"{WORLD}:{site.port}") for _ in range(3)]
        assert (await fetch(proxy, site.url))[0] == 503
        for _, _, writer in taken:
            writer.close()

        async def served() -> bool:
            return (await fetch(proxy, site.url))[0] == 200

        async with asyncio.timeout(30):
            while not await served():
                await asyncio.sleep(0.05)


@asynccontextmanager
async def corporate(answer: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy of the pod itself that notes what it is asked, and answers with this."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


async def test_the_pods_own_proxy_is_gone_through_with_its_password() -> None:
    async with corporate(b"HTTP/1.1 200 OK\r\n\r\nhello") as (own, heads):
        upstreams = read_upstreams({"https_proxy": f"http://me:pw@{own}", "http_proxy": f"http://me:pw@{own}"})
        async with proxying(upstreams=upstreams) as proxy:
            first, reader, writer = await tunnel(proxy, "example.com.:443", "Proxy-Authorization: Basic bWluZQ==")
            assert first == "HTTP/1.1 200 Connection established"
            assert await reader.read() == b"hello"
            writer.close()
            assert (await fetch(proxy, "http://unknown.invalid/a"))[1] == "hello"
            assert (await tunnel(proxy, "kubernetes.default.svc:443"))[0] == "HTTP/1.1 403 Forbidden"
            assert (await tunnel(proxy, "127.0.0.1:443"))[0] == "HTTP/1.1 403 Forbidden"
    assert len(heads) == 2
    assert heads[0].startswith("CONNECT example.com.:443 HTTP/1.1\r\n")
    assert heads[1].startswith("GET http://unknown.invalid:80/a HTTP/1.1\r\n")
    assert all(head.count("Proxy-Authorization: Basic bWU6cHc=") == 1 for head in heads)
    assert "bWluZQ" not in str(heads)


async def test_what_the_pods_own_proxy_answers_is_told() -> None:
    async with (
        corporate(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (own, _),
        proxying(upstreams=read_upstreams({"https_proxy": own})) as proxy,
    ):
        first, reader, writer = await tunnel(proxy, "example.com:443")
        assert first == "HTTP/1.1 502 Bad Gateway"
        assert "407 Proxy Authentication Required" in (await reader.read()).decode()
        writer.close()


@pytest.mark.skipif(abi_version() < NETWORK_ABI, reason="this kernel's Landlock knows no network rules")
async def test_an_agent_gets_out_through_the_proxy_only(site: Site, tmp_path: Path) -> None:
    script = (
        "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=30).status)\n"
        "try: r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=30); print('DIRECT')\n"
        "except OSError as error: print(error)"
    )
    rig_dir = tmp_path / "rigs" / "web"
    (rig_dir / "toast").mkdir(parents=True)
    async with proxying() as proxy:
        network = proxied_network(proxy, [site.port])
        domain = agent_domain(rig_dir, "toast").at_work(network)
        programs = tuple(prefix_of(Path(sys.executable).parent, Path.home()))
        env = agent_environment(rig_dir, "toast", network)
        command = Command((sys.executable, "-I", "-c", script, site.url), rig_dir / "toast", env)
        inside = replace(domain, read_only=(*domain.read_only, *programs))
        done = await run_in_domain(inside, command, marker="u", timeout_seconds=60)
        os.close(network.descriptors[0])
    assert done.ok, done.output
    assert done.output.startswith("200\n") and "DIRECT" not in done.output
