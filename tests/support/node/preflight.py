"""Whether this machine can carry a node: everything it takes is tried, nothing is guessed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support.node import cgroups

NAMESPACES = (
    "unshare",
    "--mount",
    "--net",
    "--pid",
    "--ipc",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--propagation=private",
)
"""Own processes, mounts and network, all of which end with the first process."""
_TOOLS = ("ip", "mount", "nsenter", "unshare")
_TRY_SECONDS = 60.0
_TRIALS = (
    ("mount a tmpfs", "mount -t tmpfs tmpfs /run"),
    ("mount an overlay", "mkdir l u w m && mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m"),
    ("make a bridge", "ip link add pods0 type bridge"),
    ("make a pair of virtual interfaces", "ip link add one type veth peer name two"),
    ("forward packets", "echo 1 > /proc/sys/net/ipv4/ip_forward"),
)


def why_not() -> str | None:
    """One sentence about what this machine lacks; None if it can carry a node."""
    if platform.system() != "Linux":
        return f"a node runs on Linux only, and this is {platform.system()}"
    if os.geteuid() != 0:
        return "a node needs root: its kubelet mounts volumes and makes cgroups"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"a node needs the program {missing[0]} (Debian: packages util-linux, mount, iproute2)"
    probe = f"polecat-probe-{os.getpid()}"
    try:
        cgroups.make(probe)
    except OSError as error:
        return f"a node needs cgroups that root may write: {error}"
    finally:
        cgroups.remove(probe)
    return _trial()


def _trial() -> str | None:
    with tempfile.TemporaryDirectory(prefix="polecat-probe-") as scratch:
        for what, command in (("make namespaces", "true"), *_TRIALS):
            try:
                done = subprocess.run(
                    [*NAMESPACES, "sh", "-c", command],
                    cwd=scratch,
                    capture_output=True,
                    text=True,
                    timeout=_TRY_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return f"a node needs to {what}, and that never came to an end here"
            if done.returncode != 0:
                return f"a node needs to {what}, which is refused here: {' '.join(done.stderr.split())}"
            for path in Path(scratch).iterdir():
                shutil.rmtree(path, ignore_errors=True)
    return None


if __name__ == "__main__":
    print(why_not() or "this machine can carry a node")
    sys.exit(0)
