"""Starts a node, reaches into it from outside, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from polecat_local.process import die_with_parent
from support.node import cgroups
from support.node.plan import UPLINK, NodePlan
from support.node.preflight import NAMESPACES
from support.node.programs import NodePrograms

START_SECONDS = 120.0
POLL_SECONDS = 0.05
_HOLDER = Path(__file__).with_name("holder.py")
_PREFIX = "polecat-node-"


class Node:
    """A running node; made by `running_node`."""

    def __init__(self, plan: NodePlan, kubectl: Path, holder: psutil.Process) -> None:
        self.plan = plan
        self.kubectl = kubectl
        self._holder = holder

    def processes(self) -> list[psutil.Process]:
        """Everything that runs in the node, its pods' processes included."""
        return self._holder.children(recursive=True)

    def program(self, name: str) -> psutil.Process:
        """The running process of `kubelet`, `containerd`, … Raises LookupError while it is down."""
        for process in self._holder.children():
            with suppress(psutil.Error):
                if Path(process.cmdline()[0]).name == name:
                    return process
        raise LookupError(f"{name} does not run")

    def ctr(self, *arguments: str) -> str:
        """What containerd's own client says, in the namespace that the kubelet uses."""
        command = [str(self.plan.containerd / "ctr"), f"--address={self.plan.socket}", "-n=k8s.io", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"ctr {' '.join(arguments)}: {done.stderr}"
        return done.stdout


@contextmanager
def running_node(programs: NodePrograms) -> Iterator[Node]:
    """A node for as long as the block lasts. Raises RuntimeError with the end of its log if it does not start."""
    _sweep()
    name = f"{_PREFIX}{os.getpid()}"
    home = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    unshare: subprocess.Popen[bytes] | None = None
    try:
        cgroups.make(name)
        plan = _plan(home, name, programs)
        with (home / "holder.log").open("wb") as log:
            unshare = subprocess.Popen(
                die_with_parent([*_absolute(NAMESPACES), sys.executable, "-P", str(_HOLDER), str(plan.save())]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        holder = _wait_for_holder(unshare, home)
        _link(plan, holder.pid)
        _wait_ready(unshare, plan)
        yield Node(plan, programs.control_plane.kubectl, holder)
    finally:
        if unshare is not None:
            unshare.kill()
            unshare.wait()
        # A connection that is not quite over keeps the node's network, and so the cable, for a while.
        subprocess.run(["ip", "link", "delete", f"plcat{os.getpid()}"], capture_output=True, check=False)
        cgroups.remove(name)
        _remove(home)


def _plan(home: Path, name: str, programs: NodePrograms) -> NodePlan:
    (home / "programs").mkdir()
    binaries = programs.control_plane
    for binary in (binaries.etcd, binaries.kube_apiserver, binaries.kube_controller_manager, binaries.kubectl):
        (home / "programs" / binary.name).symlink_to(binary)
    machine_address, node_address = _free_link()
    return NodePlan(
        home=home,
        kubernetes=programs.kubernetes,
        containerd=programs.containerd,
        runc=programs.packaged.runc,
        plugins=programs.packaged.plugins,
        path=programs.packaged.path,
        cgroup=name,
        machine_address=machine_address,
        node_address=node_address,
    )


def _free_link() -> tuple[str, str]:
    """Two addresses of a /30 that no interface of this machine has part in."""
    taken = {each.address.rpartition(".")[0] for found in psutil.net_if_addrs().values() for each in found}
    while True:
        network = f"10.213.{secrets.randbelow(256)}"
        if network not in taken:
            return f"{network}.1", f"{network}.2"


def _link(plan: NodePlan, holder_pid: int) -> None:
    """A cable between this machine and the node; it goes when either end goes."""
    name = f"plcat{os.getpid()}"
    for command in (
        ["ip", "link", "add", name, "type", "veth", "peer", "name", UPLINK, "netns", str(holder_pid)],
        ["ip", "address", "add", f"{plan.machine_address}/30", "dev", name],
        ["ip", "link", "set", name, "up"],
    ):
        subprocess.run(command, check=True)


def _absolute(command: tuple[str, ...]) -> list[str]:
    program = shutil.which(command[0])
    assert program is not None
    return [program, *command[1:]]


def _wait_for_holder(unshare: subprocess.Popen[bytes], home: Path) -> psutil.Process:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and unshare.poll() is None:
        for child in psutil.Process(unshare.pid).children():
            with suppress(psutil.Error):
                if str(_HOLDER) in child.cmdline():
                    return child
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"the node did not start:\n{_tail(home / 'holder.log')}")


def _wait_ready(unshare: subprocess.Popen[bytes], plan: NodePlan) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not plan.ready.exists():
        if unshare.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the node did not start:\n{_tail(plan.home / 'holder.log')}")
        time.sleep(POLL_SECONDS)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def _sweep() -> None:
    """Removes what nodes of test runs that were killed have left: directories and cgroups."""
    pattern = re.compile(rf"{_PREFIX}(\d+)")
    for directory in (Path(tempfile.gettempdir()), *cgroups.parents()):
        for path in directory.glob(f"{_PREFIX}*"):
            found = pattern.match(path.name)
            if found and not psutil.pid_exists(int(found[1])):
                if path.is_relative_to(cgroups.ROOT):
                    cgroups.remove(path.name)
                else:
                    _remove(path)


def _remove(home: Path) -> None:
    """The directory with all in it: containers' mounts are gone with their namespace, a little later."""
    deadline = time.monotonic() + START_SECONDS
    while home.exists() and time.monotonic() < deadline:
        shutil.rmtree(home, ignore_errors=True)
        time.sleep(POLL_SECONDS)
