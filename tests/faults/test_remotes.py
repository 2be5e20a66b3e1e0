"""Repositories behind credentials: what goes wrong is said, mends itself, and is changed while agents work."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from e2e.workspace.git_server import GitServer
from polecat_api.conditions import Reason
from polecat_kube.api import KubeApi
from polecat_kube.resources import RIG, SECRET
from polecat_local.install import kubectl_run, service_account_token
from polecat_town.errors import RepositoryError
from polecat_town.rigs import Rigs
from polecat_town.settings import Settings
from support.authority import Authority
from support.ssh_server import CLOSED_KEY, SshServer, make_key, ssh_client
from support.town_harness import LONG, TownHarness, git
from support.whole import World, commit

OLD, NEW = "pa55-old-0123456789", "pa55-new-0123456789"
Json = dict[str, Any]
COMMIT = "git add -A && git commit -q -m Work"


async def until_told(harness: TownHarness, rig: str, status: str, reason: str) -> str:
    """Waits for what the rig says of its repository; gives the message."""
    found: Json = {}

    async def told() -> bool:
        item = await harness.api.get(RIG, harness.namespace, rig) or {}
        for entry in item.get("status", {}).get("conditions", []):
            if entry["type"] == "RepositoryReady":
                found.update(entry)
        return (found.get("status"), found.get("reason")) == (status, reason)

    await harness.until(told, f"RepositoryReady of {rig} is {status}, {reason}")
    return str(found["message"])


async def change_secret(harness: TownHarness, values: dict[str, str]) -> None:
    """Changes values of the Secret `git`."""
    await harness.api.patch_merge(SECRET, harness.namespace, "git", {"data": encoded(values)})


def encoded(values: dict[str, str]) -> dict[str, str]:
    """As the API server wants the values of a Secret."""
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


@ssh_client
async def test_what_is_wrong_is_said_and_mends_itself(harness: TownHarness) -> None:
    """A damaged key, or a host that had a new one, was a message in a log that nobody read, until a restart."""
    mine = make_key()
    async with SshServer(harness.directory) as server:
        repository = {"url": server.url("remote.git"), "credentialsSecretRef": {"name": "git"}}
        await harness.rig("shop", repository=repository)
        await harness.start_town()
        assert "Secret git does not exist" in await until_told(harness, "shop", "False", "CredentialsMissing")
        await harness.secret("git", {"ssh-privatekey": CLOSED_KEY, "known_hosts": server.known_hosts})
        assert "passphrase" in await until_told(harness, "shop", "False", "CredentialsMalformed")
        await change_secret(harness, {"ssh-privatekey": mine.private})
        await until_told(harness, "shop", "False", "CredentialsRefused")
        server.admit(mine)
        await server.change_host_key()
        await until_told(harness, "shop", "False", "HostNotTrusted")
        await change_secret(harness, {"known_hosts": server.known_hosts})
        await until_told(harness, "shop", "True", "RepositoryOk")
        shown = str(await harness.api.get(RIG, harness.namespace, "shop")) + harness.log_text()
        for key in (CLOSED_KEY, mine.private):
            assert key.splitlines()[2] not in shown


async def test_credentials_are_changed_while_agents_work(harness: TownHarness) -> None:
    """A token that lives for an hour had run out when the work of three hours was to be pushed or saved."""
    await git(harness.remote, "config", "http.receivepack", "true")
    with GitServer(harness.directory, {"/remote.git": OLD}) as server:
        await harness.secret("git", {"token": OLD})
        repository = {"url": f"{server.url}/remote.git", "credentialsSecretRef": {"name": "git"}}
        for rig in ("shop", "cellar"):  # two stores, so that neither learns the new token from the other
            await harness.rig(rig, repository=repository)
        await harness.start_town()
        for rig in ("shop", "cellar"):  # nobody looks again before the test is over
            await until_told(harness, rig, "True", "RepositoryOk")
        wait = f"touch ../begun; until [ -e ../go ]; do sleep 0.1; done; echo 1 > one.txt && {COMMIT}"
        pushed = await harness.sling("pushed", [{"bash": wait}, {"done": "Made it."}], rig="shop")
        work = [{"bash": f"echo 1 > two.txt && {COMMIT}; touch ../begun; {LONG}"}]
        saved = await harness.sling("saved", work, rig="cellar")
        for polecat in (pushed, saved):
            await harness.until(partial(begun, harness, polecat), "the agent is at work")
        server.passwords["/remote.git"] = NEW
        await change_secret(harness, {"token": NEW})
        (harness.worktree(pushed).parent / "go").touch()
        await harness.until_finished(pushed)
        assert await harness.condition(pushed, "Finished") == ("True", "Done")
        await harness.drain_town()
        await harness.all_saved([saved], "two.txt")


async def begun(harness: TownHarness, polecat: Json) -> bool:
    """Whether the agent has made its file."""
    return (harness.worktree(polecat).parent / "begun").exists()


async def test_what_the_town_can_not_read_again_does_not_take_away_what_it_has(harness: TownHarness) -> None:
    """A Secret was out of reach for a moment when work was to be saved, and the work stayed in the town."""
    await harness.secret("git", {"token": OLD})
    repository = {"url": "https://git.example/web.git", "credentialsSecretRef": {"name": "git"}}
    await harness.rig("shop", repository=repository)
    rig = await harness.api.get(RIG, harness.namespace, "shop")
    plane, account = harness.plane, "powerless"
    make = ["create", "serviceaccount", account, f"--namespace={harness.namespace}"]
    await kubectl_run(plane.kubectl_path, plane.kubeconfig, make)
    token = await service_account_token(plane.kubectl_path, plane.kubeconfig, harness.namespace, account)
    settings = Settings(pod_uid="uid", data_dir=harness.data_dir, namespace=harness.namespace)
    async with KubeApi(replace(plane.connection, token=token), manager="test") as powerless:
        stranger = Rigs(powerless, settings, lambda name: None)
        stranger.observe(None, rig)
        with pytest.raises(RepositoryError, match="may not read the Secret git") as caught:
            await stranger.store("shop")
        assert caught.value.reason is Reason.CREDENTIALS_MISSING
    rigs = Rigs(harness.api, settings, lambda name: None)
    rigs.observe(None, rig)
    store = await rigs.store("shop")
    await change_secret(harness, {"token": NEW})
    await rigs.renew("shop")
    assert store.remote.credentials is not None and store.remote.credentials.password == NEW
    await harness.api.delete(SECRET, harness.namespace, "git")
    await rigs.renew("shop")
    assert store.remote.credentials.password == NEW
    assert {OLD, NEW} <= rigs.secrets("shop"), "the old one must not be shown either"


@ssh_client
async def test_beads_are_done_over_ssh_and_over_https_with_an_authority_of_ones_own(watched_world: World) -> None:
    """From the bead to the branch on the remote, with nothing but a Secret in between."""
    world = watched_world
    root = world.remote.parent
    world.git("config", "http.receivepack", "true")
    key, authority = make_key(), Authority(root)
    async with SshServer(root) as ssh:
        ssh.admit(key)
        with GitServer(root, {"/remote.git": NEW}, authority.server()) as https:
            for rig, url, values in (
                ("ssh", ssh.url("remote.git"), {"ssh-privatekey": key.private, "known_hosts": ssh.known_hosts}),
                ("https", f"{https.url}/remote.git", {"password": NEW, "ca.crt": authority.certificate}),
            ):
                secret = {"metadata": {"name": f"{rig}-git"}, "data": encoded(values)}
                await world.api.create(SECRET, world.namespace, secret)
                await world.rig(rig, repository={"url": url, "credentialsSecretRef": {"name": f"{rig}-git"}})
                await world.bead(f"by-{rig}", [commit(f"{rig}.txt"), {"done": "Made it."}], rig=rig)
            await world.succeeded("by-ssh", "by-https")
        assert "git-receive-pack" in ssh.served
