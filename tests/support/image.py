"""The container image of this checkout for tests, as `make image` builds it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from polecat_image import packaged
from support.paths import ROOT

BUILD = ROOT / "container/image/build.py"
_MARKS = ("buildah", "podman")


def why_no_image() -> str | None:
    """One sentence about what this machine lacks for building the image on a base of Debian packages."""
    if os.geteuid() != 0:
        return "building the image for tests needs root"
    if packaged.possible():
        return None
    if shutil.which("mmdebstrap") is None or not any(shutil.which(tool) for tool in _MARKS):
        return "building the image needs Debian's apt-get, or mmdebstrap with buildah or podman"
    return None


def build_image(*arguments: str) -> Path:
    """Builds it unless the cache has it, which takes minutes the first time; gives the docker-archive.

    `--retag NAME` makes another image of the same content.
    """
    command = [sys.executable, str(BUILD), "--base", "bootstrap", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])
