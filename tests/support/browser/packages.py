"""What comes from npm for the tests: pinned, verified, kept in the user's cache under a hash of its content."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tarfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from polecat_local.cache import Cache
from polecat_local.commands import run
from polecat_local.errors import LocalError
from polecat_local.kilo import find_npm
from polecat_local.progress import Progress
from polecat_local.versions import NpmPackage

CHROMIUM = NpmPackage(
    name="@sparticuz/chromium",
    version="153.0.0",
    integrity="sha512-jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==",
)
"""Headless Chromium for x86-64, brotli-packed, with the few libraries that a bare machine lacks (70 MB)."""

AXE = NpmPackage(
    name="axe-core",
    version="4.14.1",
    integrity="sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)
"""The rules that pages are checked against for accessibility."""


class PackageError(LocalError):
    """A package can't be had, or is not the one that was pinned."""


async def unpacked(
    cache: Cache,
    kind: str,
    package: NpmPackage,
    progress: Progress,
    finish: Callable[[Path], Awaitable[None]] | None = None,
    layout: str = "1",
) -> Path:
    """The cache entry with the package's files, after `finish` has made of them what it likes.

    A change of what `finish` does needs another `layout`, so that older entries are not taken for newer ones.
    Raises PackageError, LocalError.
    """
    digest = hashlib.sha256(f"{package.name} {package.integrity} {layout}".encode()).hexdigest()[:16]

    async def fill(draft: Path) -> None:
        async with progress.stage(f"{package.name} {package.version}: fetching it"):
            archive = await _fetch(package, draft)
        extract(archive, draft)
        for part in (draft / "package").iterdir():
            part.replace(draft / part.name)
        (draft / "package").rmdir()
        if finish is not None:
            async with progress.stage(f"{package.name} {package.version}: unpacking it"):
                await finish(draft)

    return await cache.make(kind, f"{package.version}-{digest}", fill, progress)


def extract(archive: Path, directory: Path) -> None:
    """Takes a verified tar file apart, and removes it."""
    with tarfile.open(archive) as tar:
        # Python 3.11 knows this filter from 3.11.4 on.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        tar.extractall(directory)  # noqa: S202 - the content is pinned by its hash
    archive.unlink()


async def axe_script(cache: Cache, progress: Progress) -> Path:
    """The script that puts `axe` into a page."""
    return await unpacked(cache, "axe-core", AXE, progress) / "axe.min.js"


def node_command(environ: Mapping[str, str] = os.environ) -> Path:
    """Node, which npm's package or the machine brings; raises PackageError if neither does."""
    npm = _npm(environ)
    found = npm[0] if len(npm) > 1 else shutil.which("node", path=environ.get("PATH"))
    if found is None:
        raise PackageError("node was not found")
    return Path(found)


async def _fetch(package: NpmPackage, draft: Path) -> Path:
    npm = _npm(os.environ)
    downloads = draft / ".npm"
    # Only for npm itself: its scripts begin with `#!/usr/bin/env node`.
    env = {**os.environ, "PATH": os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", os.defpath)])}
    command = [*npm, "pack", "--ignore-scripts", "--silent", "--cache", str(downloads)]
    outcome = await run([*command, f"{package.name}@{package.version}"], env=env, cwd=draft)
    shutil.rmtree(downloads, ignore_errors=True)
    archives = list(draft.glob("*.tgz"))
    if outcome.code != 0 or len(archives) != 1:
        raise PackageError(f"npm could not fetch {package.name} {package.version}: {outcome.tail}")
    digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        raise PackageError(f"{package.name} {package.version} came with a wrong checksum")
    return archives[0]


def _npm(environ: Mapping[str, str]) -> list[str]:
    npm = find_npm(environ)
    if npm is None:
        raise PackageError("npm was not found")
    return npm
