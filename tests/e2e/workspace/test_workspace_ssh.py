"""Repositories over SSH: the real ssh and Git against a real server, and what is said when it doesn't work."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from polecat_api.conditions import Reason
from polecat_town.git import credentials
from polecat_town.git.secret import read_secret
from polecat_town.git.store import Remote, Store
from polecat_town.git.types import RepositoryState
from support.ssh_server import SshKey, SshServer, make_key, ssh_client

from .conftest import Project, new_agent, work_comes_and_goes
from .snooping import isolated, seen_by, seen_from_outside, written

pytestmark = ssh_client


@pytest.fixture
async def server(project: Project) -> AsyncIterator[SshServer]:
    async with SshServer(project.root) as running:
        yield running


@pytest.fixture
def key(server: SshServer) -> SshKey:
    made = make_key()
    server.admit(made)
    return made


def remote_of(server: SshServer, key: SshKey, known_hosts: str | None = None) -> Remote:
    values = {"ssh-privatekey": key.private, "known_hosts": server.known_hosts if known_hosts is None else known_hosts}
    return Remote("web", server.url("remote.git"), "main", "polecat", read_secret("web-git", values))


async def probed(project: Project, remote: Remote) -> RepositoryState:
    return await Store(project.rig_dir, remote).probe()


async def test_work_comes_and_goes_by_ssh(project: Project, server: SshServer, key: SshKey) -> None:
    store = Store(project.rig_dir, remote_of(server, key))
    await work_comes_and_goes(project, store)
    assert set(server.served) == {"git-upload-pack", "git-receive-pack"}


@pytest.mark.parametrize(
    ("kind", "form"),
    [("ssh-rsa", "pkcs1-pem"), ("ecdsa-sha2-nistp256", "pkcs8-pem"), ("ecdsa-sha2-nistp384", "openssh")],
)
async def test_keys_of_other_kinds_and_from_other_systems(
    project: Project, server: SshServer, kind: str, form: str
) -> None:
    made = make_key(kind=kind, form=form)
    server.admit(made)
    with_their_line_ends = SshKey(made.private.strip().replace("\n", "\r\n"), made.public)
    state = await probed(project, remote_of(server, with_their_line_ends))
    assert state.ok, state


@isolated
async def test_an_agent_can_not_read_the_key_while_it_is_used(project: Project, server: SshServer, key: SshKey) -> None:
    store = Store(project.rig_dir, remote_of(server, key))
    agent = await new_agent(store)
    line = key.private.splitlines()[2]
    inside, outside, on_disk = "", "", []

    async def look() -> None:
        nonlocal inside, outside
        inside, outside = await seen_by(agent), seen_from_outside()
        on_disk.extend(written(project.root / "data", line))

    server.meanwhile = look
    await store.fetch("main", agent.bead_uid)
    assert line in outside, "the key was not in use when the agent looked"
    assert inside and line not in inside
    assert not on_disk, "the key lies on the volume"
    assert line not in seen_from_outside(), "the key is still there after use"


async def test_a_host_with_another_key_is_not_talked_to(project: Project, server: SshServer, key: SshKey) -> None:
    remote = remote_of(server, key)
    store = Store(project.rig_dir, remote)
    agent = await new_agent(store)
    commit = await agent.commits()
    await store.take_over(agent.workspace)
    await server.change_host_key()
    state = await store.probe()
    assert state.reason is Reason.HOST_NOT_TRUSTED
    assert "`known_hosts` of the Secret web-git" in state.message
    assert server.host_key.get_fingerprint() in state.message, "to be compared with what the host publishes"
    assert (await store.push(commit, agent.workspace.branch)).kind == "unreachable"
    store.use(remote_of(server, key))
    assert (await store.push(commit, agent.workspace.branch)).ok, "mended without a restart"
    assert (await store.probe()).ok


async def test_a_host_that_is_not_listed_is_not_talked_to(project: Project, server: SshServer, key: SshKey) -> None:
    other = server.known_hosts.replace("127.0.0.1", "127.0.0.2")
    state = await probed(project, remote_of(server, key, other))
    assert state.reason is Reason.HOST_NOT_TRUSTED and "no ED25519 key" in state.message, state
    assert not server.served


async def test_without_known_hosts_nobody_is_trusted_at_first_sight(
    project: Project, server: SshServer, key: SshKey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(credentials, "TRUSTED_HOSTS", tmp_path / "none")
    state = await probed(project, remote_of(server, key, ""))
    assert state.reason is Reason.CREDENTIALS_MISSING and "ssh-keyscan" in state.message
    assert not server.served


async def test_a_key_that_is_not_let_in(project: Project, server: SshServer) -> None:
    state = await probed(project, remote_of(server, make_key()))
    assert state.reason is Reason.CREDENTIALS_REFUSED and "public key" in state.message, state


async def test_a_secret_of_the_wrong_kind(project: Project, server: SshServer, key: SshKey) -> None:
    for values, words in (
        ({"password": "a-token"}, "`ssh-privatekey`"),
        ({"ssh-privatekey": key.private, "known_hosts": "x", "proxy": "http://proxy:3128"}, "`proxy`"),
    ):
        remote = Remote("web", server.url("remote.git"), "main", "polecat", read_secret("web-git", values))
        state = await probed(project, remote)
        assert not state.ok and words in state.message and "web-git" in state.message, state


async def test_a_town_without_ssh_says_so(
    project: Project, server: SshServer, key: SshKey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "sh", "cat"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(programs))
    state = await probed(project, remote_of(server, key))
    assert state.reason is Reason.SSH_CLIENT_MISSING and "OpenSSH" in state.message
