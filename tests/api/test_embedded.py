"""The embedded control plane, for real: secrets on disk, ports, life and death of its processes, rights."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil
import pytest

from polecat_kube.api import KubeApi
from polecat_kube.resources import CONFIG_MAP
from polecat_local.binaries import Binaries
from polecat_local.cache import Cache
from polecat_local.control_plane import ControlPlane, ControlPlaneOptions
from polecat_local.datadir import DataDir, kill_strays
from polecat_local.errors import ProcessFailedError
from polecat_local.install import shipped_manifests
from polecat_local.progress import Progress
from polecat_local.providers import control_plane_binaries
from support.control_plane import Kubectl, SharedControlPlane

DEADLINE_SECONDS = 30.0
FAST = ControlPlaneOptions(unsafe_no_fsync=True)


@pytest.fixture
async def binaries(control_plane: SharedControlPlane) -> Binaries:
    """The programs, which the session's control plane has put into the cache."""
    return await control_plane_binaries(Cache(), Progress())


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS:g} s: {what}"
        time.sleep(0.05)


async def test_secrets_on_disk_are_for_their_owner_only(control_plane: SharedControlPlane) -> None:
    directory = control_plane.data_dir
    assert directory.stat().st_mode & 0o777 == 0o700
    files = [directory / "kubeconfig", *(directory / "pki").iterdir(), *(directory / "logs").iterdir()]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == {path.name: "0o600" for path in files}


async def test_restart_keeps_ports_kubeconfig_and_objects(tmp_path: Path, binaries: Binaries) -> None:
    plane = ControlPlane(tmp_path / "d", binaries, FAST)
    await plane.start()
    kubeconfig = plane.kubeconfig.read_text()
    async with KubeApi(plane.connection) as api:
        await api.create(CONFIG_MAP, "default", {"metadata": {"name": "kept"}})
    await plane.stop()
    again = ControlPlane(tmp_path / "d", binaries, FAST)
    await again.start()
    try:
        assert again.kubeconfig.read_text() == kubeconfig
        async with KubeApi(again.connection) as api:
            assert await api.get(CONFIG_MAP, "default", "kept")
    finally:
        await again.stop()


async def test_a_part_that_is_killed_comes_back(tmp_path: Path, binaries: Binaries) -> None:
    said: list[str] = []
    plane = ControlPlane(tmp_path / "d", binaries, FAST, said.append)
    await plane.start()
    try:
        before = plane.api_server.pid
        await plane.api_server.kill()
        async with asyncio.timeout(DEADLINE_SECONDS):
            while plane.api_server.pid in (None, before):
                await asyncio.sleep(0.05)
        await plane.wait_ready(DEADLINE_SECONDS)
        assert any(line.startswith("kube-apiserver ended with SIGKILL; starting it again") for line in said)
    finally:
        await plane.stop()


async def test_a_program_that_ends_early_is_explained(tmp_path: Path, binaries: Binaries) -> None:
    broken = tmp_path / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho 'write /x: no space left on device' >&2\nexit 1\n")
    broken.chmod(0o755)
    bad = Binaries(binaries.etcd, broken, binaries.kube_controller_manager, binaries.kubectl, "test")
    plane = ControlPlane(tmp_path / "d", bad, FAST)
    with pytest.raises(
        ProcessFailedError, match=r"kube-apiserver ended with exit code 1 \(log: .*\): the disk is full"
    ):
        await plane.start()
    assert [part.pid for part in plane.parts] == [None, None, None]


START_AND_WAIT = """
import asyncio, json, sys
from pathlib import Path
from polecat_local.cache import Cache
from polecat_local.control_plane import ControlPlane, ControlPlaneOptions
from polecat_local.progress import Progress
from polecat_local.providers import control_plane_binaries

async def main():
    binaries = await control_plane_binaries(Cache(), Progress())
    plane = ControlPlane(Path(sys.argv[1]), binaries, ControlPlaneOptions(unsafe_no_fsync=True))
    await plane.start()
    print(json.dumps([part.pid for part in plane.parts]), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_children_die_when_the_parent_is_killed(control_plane: SharedControlPlane, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(tmp_path / "d")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(pid) for pid in json.loads(parent.stdout.readline())]
        assert len(children) == 3
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(alive, children)), "all children gone")


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def polecat(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "polecat_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_data_directory_in_use_is_one_sentence(control_plane: SharedControlPlane, tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.claim()
    try:
        for more in ([], ["--detach"]):
            done = polecat("up", "--data-dir", str(tmp_path), *more)
            assert done.returncode == 1
            assert done.stderr.startswith(f"error: the data directory {tmp_path} is in use by process {os.getpid()}")
            assert len(done.stderr.splitlines()) == 1
    finally:
        data.release()


def test_down_and_status_of_what_does_not_run(tmp_path: Path) -> None:
    assert polecat("down", "--data-dir", str(tmp_path)).returncode == 0
    done = polecat("status", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (3, f"nothing runs on {tmp_path}\n")


def test_what_agents_leave_behind_is_ended(tmp_path: Path) -> None:
    inside, outside = tmp_path / "town", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    places: list[tuple[Path, dict[str, str]]] = [(inside, {}), (outside, {"HOME": str(inside)}), (outside, {})]
    sleepers = [subprocess.Popen(["/bin/sleep", "60"], cwd=cwd, env=env) for cwd, env in places]
    try:
        assert set(kill_strays(inside)) == {sleepers[0].pid, sleepers[1].pid}
        assert [sleepers[0].wait(), sleepers[1].wait()] == [-signal.SIGKILL] * 2
        assert sleepers[2].poll() is None
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


async def test_nobody_without_a_token_gets_in(control_plane: SharedControlPlane) -> None:
    connection = control_plane.connection
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{connection.server}/api", ssl=connection.ssl_context() or True) as response,
    ):
        assert response.status == 401


async def test_etcd_takes_no_client_without_certificate(control_plane: SharedControlPlane) -> None:
    port = json.loads((control_plane.data_dir / "ports.json").read_text())["etcd_client"]
    context = ssl.create_default_context(cadata=control_plane.connection.ca)
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        # With TLS 1.3 the refusal comes with the first read.
        assert secure.recv(1) != b"", "closed without an answer"
        pytest.fail("etcd has answered")


async def test_owned_objects_are_collected(kube_api: KubeApi, namespace: str) -> None:
    owner = await kube_api.create(CONFIG_MAP, namespace, {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    await kube_api.create(CONFIG_MAP, namespace, {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    await kube_api.delete(CONFIG_MAP, namespace, "owner")
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await kube_api.get(CONFIG_MAP, namespace, "owned"):
            await asyncio.sleep(0.05)


OPERATOR = "system:serviceaccount:polecat-system:polecat-operator"


@pytest.mark.parametrize(
    ("allowed", "verb", "resource"),
    [
        (True, "create", "polecats.polecat.dev"),
        (True, "patch", "beads.polecat.dev/status"),
        (True, "create", "secrets"),
        (False, "get", "secrets"),
        (False, "list", "secrets"),
        (False, "patch", "beads.polecat.dev"),
        (False, "create", "beads.polecat.dev"),
        (False, "delete", "beads.polecat.dev"),
        (False, "create", "pods"),
        (False, "create", "clusterroles.rbac.authorization.k8s.io"),
    ],
)
def test_operator_has_the_rights_it_needs_and_no_others(
    kubectl: Kubectl, allowed: bool, verb: str, resource: str
) -> None:
    resource, _, subresource = resource.partition("/")
    more = [f"--subresource={subresource}"] if subresource else []
    done = kubectl.run("auth", "can-i", verb, resource, f"--as={OPERATOR}", *more)
    assert done.stdout.strip() == ("yes" if allowed else "no"), done.stderr


def test_operator_cannot_read_secrets_of_the_system(kubectl: Kubectl) -> None:
    refused = kubectl.refused("get", "secrets", "--namespace=kube-system", f"--as={OPERATOR}")
    assert "is forbidden" in refused


def test_manifests_begin_with_the_namespace() -> None:
    assert shipped_manifests()[0].name == "namespace.yaml"
    assert {path.name for path in shipped_manifests()} >= {"polecat.dev_beads.yaml", "rbac-operator.yaml"}
