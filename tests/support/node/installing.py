"""The shipped image and the shipped manifests, as a user builds and applies them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from support.control_plane import Kubectl
from support.node.cluster import EMPTY_IMAGE, NEXT_IMAGE, Cluster, Images
from support.paths import ROOT

OVERLAY = ROOT / "manifests" / "overlays" / "kind"
_KILO = "/opt/kilo/bin/kilo"
_BUILDER = ROOT / "container" / "image" / "build.py"
_LACKS = 2
"""Its exit status on a machine that has no program for it, or reaches no Debian mirror."""


class NoImageBuilderError(Exception):
    """This machine can't build the image; the text is one sentence. A build that fails is another matter."""


def shipped_images(*arguments: str) -> Images:
    """The image and what differs from it, built if need be.

    Raises NoImageBuilderError, CalledProcessError.
    """
    following = build_image(*arguments, "--retag", NEXT_IMAGE)
    empty = build_image(*arguments, "--retag", EMPTY_IMAGE, "--without", _KILO)
    return Images(build_image(*arguments), following, empty)


def build_image(*arguments: str) -> Path:
    """The archive that the image's own builder writes; what it is doing, and what went wrong, it tells the user.

    Raises NoImageBuilderError, CalledProcessError.
    """
    command = [sys.executable, str(_BUILDER), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == _LACKS:
        raise NoImageBuilderError("the image can't be built here: neither a builder nor Debian's packages are there")
    done.check_returncode()
    return Path(done.stdout.strip().splitlines()[-1])


async def install(cluster: Cluster) -> None:
    """Applies the manifests as they stand, and waits until all that they start is available."""
    kubectl = Kubectl(cluster.plane, "polecat-system")
    await asyncio.to_thread(kubectl, "apply", "--server-side", "-k", str(OVERLAY))
    for deployment in ("polecat-operator", "polecat-dashboard"):
        await asyncio.to_thread(kubectl, "rollout", "status", f"deployment/{deployment}", "--timeout=110s")
