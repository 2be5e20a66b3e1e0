"""`polecat doctor` on a real API server: silent when nothing is wrong, and a line for what is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from polecat_api.protocol import FINALIZER
from polecat_kube.resources import RIG
from polecat_local.cluster import LocalCluster
from support.control_plane import Kubectl, SharedControlPlane
from support.fake_agent import FAKE_KILO

StartCluster = Callable[..., Awaitable[LocalCluster]]

POLECAT = """
apiVersion: polecat.dev/v1alpha1
kind: Polecat
metadata: {name: web-toast, finalizers: [%s]}
spec:
  name: toast
  rigRef: {name: web}
  townRef: {name: main}
  beadRef: {name: fix-login, uid: 3fa2b19c-0000-4000-8000-000000000000}
  attempt: 1
  pod: main-0
  branch: polecat/toast/3fa2b1
  baseBranch: main
  title: Fix the login
  model: some-model
  limits: {}
  tokenSecretRef: {name: web-toast-token}
"""
TOWN = "{apiVersion: polecat.dev/v1alpha1, kind: Town, metadata: {name: main}, spec: {}}"


def doctor(kubeconfig: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs it as a user would, whose own cluster does not run."""
    command = [sys.executable, "-m", "polecat_cli", "doctor", "--kubeconfig", str(kubeconfig), *arguments]
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_nothing_is_found_where_nothing_is_wrong(
    control_plane: SharedControlPlane, namespace: str, tmp_path: Path
) -> None:
    done = doctor(control_plane.kubeconfig, tmp_path, "-n", namespace)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nothing found; the API server at ")


def test_a_town_without_rights_and_without_an_operator_is_told(
    control_plane: SharedControlPlane, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    kubectl("apply", "-f", "-", stdin=TOWN)
    done = doctor(control_plane.kubeconfig, tmp_path, "-n", namespace)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    account = next(line for line in lines if line.startswith(f"account {namespace}/polecat-town: may not "))
    assert f"kubectl -n {namespace} create rolebinding polecat-town" in account
    assert any(line.startswith(f"town {namespace}/main: no operator has looked at it yet → ") for line in lines)

    # What it advises is what mends it.
    commands = [part for part in account.split("`")[1::2] if part.startswith("kubectl ")]
    assert len(commands) == 2
    for command in commands:
        kubectl(*command.split()[1:])
    assert "account" not in doctor(control_plane.kubeconfig, tmp_path, "-n", namespace).stdout


def test_a_claim_of_an_earlier_life_of_its_pod_is_told(
    control_plane: SharedControlPlane, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    kubectl("apply", "-f", "-", stdin=TOWN)
    kubectl("apply", "-f", "-", stdin=POLECAT % FINALIZER)
    pods = (
        '{"status": {"conditions": [], "pods": [{"name": "main-0", "uid": "new", "seenTime": "2026-01-01T00:00:00Z"}]}}'
    )
    claim = (
        '{"status": {"conditions": [], "claim": {"pod": "main-0", "podUID": "old", "time": "2026-01-01T00:00:00Z"}}}'
    )
    kubectl("patch", "town", "main", "--subresource=status", "--type=merge", "-p", pods)
    kubectl("patch", "polecat", "web-toast", "--subresource=status", "--type=merge", "-p", claim)
    try:
        lines = doctor(control_plane.kubeconfig, tmp_path, "-n", namespace).stdout.splitlines()
    finally:
        # Nobody else here would, and the namespace could not go.
        kubectl("patch", "polecat", "web-toast", "--type=merge", "-p", '{"metadata": {"finalizers": []}}')
    subject = f"polecat {namespace}/web-toast: is claimed by an earlier life of pod main-0 (old, now new) → "
    assert any(line.startswith(subject) for line in lines), lines
    assert any(line.startswith(f"town {namespace}/main: pod main-0 has not reported for ") for line in lines), lines


@pytest.mark.parametrize("kubeconfig", ["missing", "unreachable"])
def test_a_cluster_that_cannot_be_looked_at_is_no_finding(kubeconfig: str, tmp_path: Path) -> None:
    file = tmp_path / kubeconfig
    if kubeconfig == "unreachable":
        file.write_text(
            "{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}], "
            "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}"
        )
    done = doctor(file, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("can't look: ")


def git(*arguments: str) -> str:
    """Runs Git with a committer."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def start_stray(home: Path) -> subprocess.Popen[bytes]:
    """A process as an agent leaves it behind."""
    return subprocess.Popen(["/bin/sleep", "600"], env={"POLECAT_UID": "deadbeef-0000", "HOME": str(home)})


async def test_what_lies_about_on_an_embedded_cluster(start_cluster: StartCluster, tmp_path: Path) -> None:
    cluster = await start_cluster(kilo_path=FAKE_KILO)
    arguments = (cluster.kubeconfig, tmp_path, "--data-dir", str(cluster.data.path))
    before = await asyncio.to_thread(doctor, *arguments)
    # How well agents can be kept apart is this machine's affair.
    assert [line for line in before.stdout.splitlines() if "isolated" not in line and "nothing found" not in line] == []
    assert before.stderr == ""

    remote, rig_dir = tmp_path / "remote.git", cluster.data.town / "rigs" / "web"
    async with cluster.api() as api:
        spec = {
            "townRef": {"name": "elsewhere"},
            "repository": {"url": f"file://{remote}"},
            "model": {"name": "some-model"},
        }
        await api.create(RIG, "default", {"metadata": {"name": "web"}, "spec": spec})
    store = rig_dir / "store.git"
    for repository in (remote, store):
        git("init", "--quiet", "--bare", str(repository))
    tree = git("--git-dir", str(store), "hash-object", "-t", "tree", "-w", "/dev/null")
    pushed = git("--git-dir", str(store), "commit-tree", tree, "-m", "pushed")
    unpushed = git("--git-dir", str(store), "commit-tree", tree, "-p", pushed, "-m", "not pushed")
    git("--git-dir", str(store), "update-ref", "refs/polecat/saved/bead/1", pushed)
    git("--git-dir", str(store), "update-ref", "refs/polecat/saved/bead/2", unpushed)
    git("--git-dir", str(store), "push", "--quiet", str(remote), f"{pushed}:refs/heads/merged")
    orphan, lost = rig_dir / "toast" / "deadbeef", rig_dir / ".lost" / "toast-deadbeef-1"
    orphan.mkdir(parents=True)
    lost.mkdir(parents=True)
    stray = start_stray(rig_dir / "toast")
    try:
        after = await asyncio.to_thread(doctor, *arguments)
    finally:
        stray.kill()
        stray.wait()
    lines = after.stdout.splitlines()
    assert (after.returncode, after.stderr) == (1, "")
    for expected in (
        f"directory {orphan}: belongs to no polecat → ",
        f"directory {lost}: could not be read ",
        "rig web: saved work is in the town's store only: refs/polecat/saved/bead/2 → ",
        f"process {stray.pid}: (sleep) belongs to polecat deadbeef-0000, which is gone → ",
    ):
        assert any(line.startswith(expected) for line in lines), after.stdout
