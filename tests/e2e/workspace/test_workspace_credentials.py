"""I30: each rig signs in with its own credentials, and they turn up nowhere."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import pytest

from polecat_api.conditions import Reason
from polecat_town.git.store import Credentials, Remote, Store

from .conftest import Project, git, new_agent
from .git_server import GitServer

SECRETS = {"web": "pa55-web-0123456789", "api": "pa55-api-0123456789"}


@pytest.fixture
def server(project: Project) -> Iterator[GitServer]:
    git(project.remote, "config", "http.receivepack", "true")
    git(project.root, "clone", "-q", "--bare", str(project.remote), str(project.root / "api.git"))
    git(project.root / "api.git", "config", "http.receivepack", "true")
    passwords = {"/remote.git": SECRETS["web"], "/api.git": SECRETS["api"]}
    with GitServer(project.root, passwords) as running:
        yield running


def store_of(project: Project, server: GitServer, rig: str, password: str | None = None) -> Store:
    path = {"web": "/remote.git", "api": "/api.git"}[rig]
    credentials = Credentials(username=rig, password=SECRETS[rig] if password is None else password)
    return Store(project.root / "data" / "rigs" / rig, Remote(rig, server.url + path, "main", "polecat", credentials))


async def test_i30_two_rigs_ten_polecats_each_with_its_own(project: Project, server: GitServer) -> None:
    stores = [store_of(project, server, rig) for rig in SECRETS]
    for store in stores:
        assert (await store.probe()).ok

    async def work(store: Store, name: str) -> None:
        agent = await new_agent(store, name)
        commit = await agent.commits(text=name)
        seen = await agent.sh(
            "env; git config --list; cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' '\\n'"
        )
        assert not [secret for secret in SECRETS.values() if secret in seen.output]
        assert await store.take_over(agent.workspace) == commit
        pushed = await store.push(commit, agent.workspace.branch)
        assert pushed.ok, pushed

    await asyncio.gather(
        *(work(store, name) for store in stores for name in ("toast", "maple", "birch", "sage", "moss"))
    )
    assert server.users("/remote.git") == {"web"} and server.users("/api.git") == {"api"}
    assert not server.leaks, "a secret stood in an argument or environment of a process"
    for path in (project.root / "data").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(_occurs(secret, content) for secret in SECRETS.values()), f"secret in {path}"


def _occurs(secret: str, content: bytes) -> bool:
    return secret.encode() in content or base64.b64encode(secret.encode()) in content


async def test_wrong_password_is_said_without_it(project: Project, server: GitServer) -> None:
    state = await store_of(project, server, "web", "wr0ng-password").probe()
    assert state.reason is Reason.CREDENTIALS_REFUSED
    assert "Authentication failed" in state.message and "wr0ng" not in state.message


async def test_read_only_account_is_seen_before_anything_starts(project: Project, server: GitServer) -> None:
    store = store_of(project, server, "web")
    git(project.remote, "config", "http.receivepack", "false")
    state = await store.probe()
    assert state.reason is Reason.PUSH_REFUSED and "403" in state.message


async def test_missing_password_names_the_key(project: Project, server: GitServer) -> None:
    state = await store_of(project, server, "web", "").probe()
    assert state.reason is Reason.CREDENTIALS_MISSING and "`password`" in state.message
