"""What the image is made of, copied aside, so that edits during a build can't get into half of it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""Top of the checkout."""
CONTAINERFILE = "container/Containerfile"
SOURCES = (
    CONTAINERFILE,
    "container/image/inside",
    "container/polecat_town",
    "crds",
    "operator",
    "manifests/base",
    "requirements.lock",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
"""Everything that the Containerfile copies, and itself."""
_LEFT_OUT = ("__pycache__",)


def stage(context: Path, root: Path = ROOT) -> str:
    """Copies the sources into the empty directory `context`; gives the hash of what was copied.

    Modes are made the same whatever the umask was at checkout, as they end up in the image.
    """
    digest = hashlib.sha256()
    for file in sorted(_files(root)):
        name = file.relative_to(root)
        target = context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        mode = 0o755 if os.access(file, os.X_OK) else 0o644
        target.chmod(mode)
        content = hashlib.sha256(target.read_bytes()).hexdigest()
        digest.update(f"{name}\0{mode:o}\0{content}\n".encode())
    for directory in (context, *(path for path in context.rglob("*") if path.is_dir())):
        directory.chmod(0o755)
    return digest.hexdigest()


def directory_hash(directory: Path) -> str:
    """Of the files right in a directory, names and contents."""
    digest = hashlib.sha256()
    for file in sorted(path for path in directory.iterdir() if path.is_file()):
        digest.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _files(root: Path) -> Iterator[Path]:
    for source in SOURCES:
        path = root / source
        if path.is_file():
            yield path
        for directory, below, names in os.walk(path):
            below[:] = [name for name in below if name not in _LEFT_OUT]
            yield from (Path(directory) / name for name in names)
