"""`polecat up`, `status` and `down` as a user types them, with the real operator, town and Kilo CLI."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from polecat_local.datadir import DataDir
from support.control_plane import SharedControlPlane

DEADLINE_SECONDS = 60.0


def polecat(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "polecat_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


def kubectl(data: Path, kubeconfig: str, *arguments: str) -> str:
    command = [str(data / "bin" / "kubectl"), f"--kubeconfig={data / kubeconfig}", *arguments]
    env = {"HOME": str(data), "PATH": os.defpath}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture
def data_dir(control_plane: SharedControlPlane, tmp_path: Path) -> Iterator[Path]:
    """A data directory; what still runs on it after the test is ended. (The session's control plane has put
    the programs into the cache.)
    """
    yield tmp_path / "data"
    polecat("down", "--data-dir", str(tmp_path / "data"))


def family(data: Path) -> list[psutil.Process]:
    """The process that runs the cluster, and its children."""
    runner = DataDir(data).runner()
    assert runner is not None
    parent = runner.process()
    assert parent is not None
    return [parent, *parent.children(recursive=True)]


def wait_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=DEADLINE_SECONDS)
    assert not alive


def test_up_runs_apart_goes_on_after_a_kill_and_ends_with_down(data_dir: Path) -> None:
    where = ["--data-dir", str(data_dir)]
    first = polecat("up", "--detach", "--operators", "2", "--audit-log", *where)
    assert first.returncode == 0, first.stderr + first.stdout
    lines = first.stdout.splitlines()
    assert f"export KUBECONFIG={data_dir}/kubeconfig" in lines
    assert lines[-2] == "ready"

    kubectl(data_dir, "kubeconfig", "create", "configmap", "kept")
    towns = json.loads(kubectl(data_dir, "kubeconfig", "get", "towns", "-o", "json"))["items"]
    assert [(t["metadata"]["name"], t["spec"]["replicas"], t["spec"]["slots"]) for t in towns] == [("main", 1, 5)]

    shown = polecat("status", *where)
    assert shown.returncode == 0
    for word in (
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "operator",
        "operator-2",
        "town",
        "main",
        "Polecats",
    ):
        assert word in shown.stdout
    for log in ("operator.log", "operator-2.log", "audit.log"):
        assert (data_dir / "logs" / log).stat().st_size > 0

    processes = family(data_dir)
    processes[0].kill()
    wait_gone(processes)
    assert polecat("status", *where).returncode == 3

    second = polecat("up", "--detach", *where)
    assert second.returncode == 0, second.stderr + second.stdout
    assert "kept" in kubectl(data_dir, "kubeconfig", "get", "configmaps", "-o", "name")
    processes = family(data_dir)
    assert polecat("down", *where).returncode == 0
    wait_gone(processes)


def test_parts_run_as_themselves_and_come_back_when_killed(data_dir: Path) -> None:
    up = polecat("up", "--detach", "--data-dir", str(data_dir))
    assert up.returncode == 0, up.stderr + up.stdout
    for part, account in {
        "operator": "system:serviceaccount:polecat-system:polecat-operator",
        "town": "system:serviceaccount:default:polecat-town",
    }.items():
        said = kubectl(data_dir, f"{part}.kubeconfig", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
        assert said == account
        assert (data_dir / f"{part}.kubeconfig").stat().st_mode & 0o777 == 0o600

        module = f"polecat_{part}"
        (before,) = [p for p in family(data_dir) if module in p.cmdline()]
        before.kill()
        wait_gone([before])
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not any(module in p.cmdline() for p in family(data_dir)):
            assert time.monotonic() < deadline, f"{part} did not come back"
            time.sleep(0.1)
        assert f"{part} ended with SIGKILL; starting it again" in (data_dir / "logs" / "up.log").read_text()
