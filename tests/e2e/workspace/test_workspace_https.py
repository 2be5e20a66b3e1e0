"""Repositories over HTTPS: authorities of one's own, proxies, and what is said when it doesn't work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from polecat_api.conditions import Reason
from polecat_town.git.secret import read_secret
from polecat_town.git.store import Remote, Store
from polecat_town.git.types import RepositoryState
from support.authority import Authority
from support.connect_proxy import ConnectProxy

from .conftest import Project, git, new_agent, work_comes_and_goes
from .git_server import GitServer
from .snooping import isolated, seen_by, seen_from_outside, written

TOKEN = "t0ken-web-0123456789"
PROXY_PASSWORD = "pr0xy-0123456789"
SECRETS = (TOKEN, PROXY_PASSWORD)


@pytest.fixture
def authority(project: Project) -> Authority:
    return Authority(project.root)


@pytest.fixture
def server(project: Project, authority: Authority) -> Iterator[GitServer]:
    git(project.remote, "config", "http.receivepack", "true")
    # the second one is no repository: it has the server look for leaks of it
    passwords = {"/remote.git": TOKEN, "/proxy": PROXY_PASSWORD}
    with GitServer(project.root, passwords, authority.server()) as running:
        yield running


@pytest.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with ConnectProxy() as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxy_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own settings are no part of a test."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def store_of(project: Project, server: GitServer, values: dict[str, str] | None) -> Store:
    secret = None if values is None else read_secret("web-git", values)
    return Store(project.rig_dir, Remote("web", f"{server.url}/remote.git", "main", "polecat", secret))


async def probed(project: Project, server: GitServer, **values: str) -> RepositoryState:
    """Keys of the Secret with `_` for `.`."""
    return await store_of(project, server, {key.replace("_", "."): text for key, text in values.items()}).probe()


async def test_an_authority_of_ones_own(project: Project, server: GitServer, authority: Authority) -> None:
    store = store_of(project, server, {"token": TOKEN, "ca.crt": authority.certificate})
    await work_comes_and_goes(project, store)
    assert not server.leaks


async def test_a_certificate_that_is_not_trusted(project: Project, server: GitServer) -> None:
    for values in ({"token": TOKEN}, {"token": TOKEN, "ca_crt": Authority(project.root).certificate}):
        state = await probed(project, server, **values)
        assert state.reason is Reason.HOST_NOT_TRUSTED and "`ca.crt` of the Secret web-git" in state.message, state
    assert not server.users("/remote.git"), "credentials were sent to somebody who is not trusted"


async def test_what_the_town_trusts(
    project: Project, server: GitServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project.root / "town-ca.pem"
    file.write_text(authority.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert (await probed(project, server, token=TOKEN)).ok
    other = Authority(project.root).certificate
    assert (await probed(project, server, token=TOKEN, ca_crt=other)).ok, "the Secret's come beside the town's"


async def test_who_may_read_without_a_name_needs_no_password(
    project: Project, server: GitServer, authority: Authority
) -> None:
    del server.passwords["/remote.git"]
    assert (await probed(project, server, ca_crt=authority.certificate)).ok


async def test_credentials_that_are_missing_or_refused(
    project: Project, server: GitServer, authority: Authority
) -> None:
    ca = authority.certificate
    state = await probed(project, server, ca_crt=ca)
    assert state.reason is Reason.CREDENTIALS_MISSING and "the Secret web-git" in state.message, state
    state = await probed(project, server, ca_crt=ca, token="wr0ng-0123456789")
    assert state.reason is Reason.CREDENTIALS_REFUSED and "wr0ng" not in state.message, state
    state = await probed(project, server, ca_crt=ca, username="me")
    assert state.reason is Reason.CREDENTIALS_MISSING and "`token`" in state.message, state
    assert (await probed(project, server, ca_crt=ca, token=TOKEN)).ok


@pytest.mark.parametrize("url", ["https://[git.example/web.git", "https://git.example:port/web.git"])
async def test_what_is_no_url(project: Project, url: str) -> None:
    state = await Store(project.rig_dir, Remote("web", url, "main", "polecat")).probe()
    assert state.reason is Reason.REPOSITORY_UNREACHABLE and "is no URL" in state.message


async def test_a_proxy_of_the_rigs_own(
    project: Project, server: GitServer, authority: Authority, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    proxy.sign_in = ("town", PROXY_PASSWORD)
    values = {"token": TOKEN, "ca_crt": authority.certificate}
    state = await probed(project, server, **values, proxy=proxy.url("town", PROXY_PASSWORD))
    assert state.ok, state
    assert set(proxy.reached) == {server.url.removeprefix("https://")}
    assert not server.leaks, "a password stood in an argument or environment of a process"
    for wrong in (proxy.url(), proxy.url("town", "wr0ng-0123456789")):
        state = await probed(project, server, **values, proxy=wrong)
        assert state.reason is Reason.PROXY_FAILED and "407" in state.message, state
        assert "wr0ng" not in state.message


async def test_a_proxy_that_is_away_or_in_the_way(
    project: Project, server: GitServer, authority: Authority, proxy: ConnectProxy
) -> None:
    values = {"token": TOKEN, "ca_crt": authority.certificate, "proxy": proxy.url()}
    proxy.refuses = True
    state = await probed(project, server, **values)
    assert state.reason is Reason.PROXY_FAILED and "403" in state.message, state
    proxy.refuses = False
    assert (await probed(project, server, **values)).ok
    await proxy.__aexit__(None, None, None)
    state = await probed(project, server, **values)
    assert state.reason is Reason.PROXY_FAILED and f"127.0.0.1:{proxy.port} can't be reached" in state.message, state
    state = await probed(project, server, **(values | {"proxy": "http://proxy.invalid:3128"}))
    assert state.reason is Reason.PROXY_FAILED and "proxy.invalid:3128" in state.message, state


async def test_a_proxy_of_the_town(
    project: Project, server: GitServer, authority: Authority, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"token": TOKEN, "ca_crt": authority.certificate}
    monkeypatch.setenv("HTTPS_PROXY", proxy.url())
    assert (await probed(project, server, **values)).ok
    assert proxy.reached
    proxy.refuses = True
    assert (await probed(project, server, **values)).reason is Reason.PROXY_FAILED
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert (await probed(project, server, **values)).ok
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("ALL_PROXY", proxy.url())
    assert (await probed(project, server, **values)).reason is Reason.PROXY_FAILED


@isolated
async def test_an_agent_can_not_read_what_is_used_to_sign_in(
    project: Project, server: GitServer, authority: Authority, proxy: ConnectProxy
) -> None:
    proxy.sign_in = ("town", PROXY_PASSWORD)
    values = {"token": TOKEN, "ca.crt": authority.certificate, "proxy": proxy.url("town", PROXY_PASSWORD)}
    store = store_of(project, server, values)
    agent = await new_agent(store)
    loop = asyncio.get_running_loop()
    inside, outside, on_disk = "", "", []

    async def look() -> None:
        nonlocal inside, outside
        inside, outside = await seen_by(agent), await asyncio.to_thread(seen_from_outside)
        on_disk.extend([path for secret in SECRETS for path in written(project.root / "data", secret)])

    server.meanwhile = lambda: asyncio.run_coroutine_threadsafe(look(), loop).result()
    await store.fetch("main", agent.bead_uid)
    for secret in SECRETS:
        assert secret in outside, "it was not in use when the agent looked"
        assert inside and secret not in inside
    assert not on_disk
