"""Installs the pinned Kilo CLI into a directory, readable for everybody; run while the image is built."""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from polecat_local.cache import Cache
from polecat_local.kilo import kilo_binary
from polecat_local.progress import Progress


async def install(target: Path) -> None:
    """Puts the whole package to `target`, which must not exist."""
    with tempfile.TemporaryDirectory() as cache:
        binary = await kilo_binary(Cache(Path(cache)), Progress())
        shutil.copytree(binary.parent.parent, target)
    target.chmod(0o755)
    for path in target.rglob("*"):
        executable = path.is_dir() or os.access(path, os.X_OK)
        path.chmod(0o755 if executable else 0o644)


if __name__ == "__main__":
    asyncio.run(install(Path(sys.argv[1])))
