"""Builds the image, prints size and layers, and as its last line the path of the docker-archive."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

from polecat_image import archive
from polecat_image.bootstrap import base_image
from polecat_image.errors import NoBuilderError
from polecat_image.inputs import CONTAINERFILE, ROOT, SOURCES, directory_hash, stage
from polecat_image.network import secrets
from polecat_image.tools import Request, Tool, find_tool
from polecat_local.cache import Cache
from polecat_local.errors import LocalError
from polecat_local.locking import waiting_lock
from polecat_local.paths import make_private, write_private
from polecat_local.progress import Progress

KIND = "image"
KEPT = 3
"""How many images stay in the cache, about half a gigabyte each; the longest unused go."""
BOOTSTRAP = "bootstrap"
ARCHIVE = "polecat.tar"
SBOM = "polecat.spdx.json"
_STORE_TAG = "polecat:latest"


def main(arguments: Sequence[str]) -> int:
    """Exit status 0; 1 with a message when a build fails, 2 when this machine lacks what any build needs."""
    parser = argparse.ArgumentParser(prog="build.py", description=__doc__)
    parser.add_argument("--base", default="", help="`bootstrap`, or an image; the Containerfile's own by default")
    parser.add_argument("--tool", default="", help="buildah, podman or docker; the first that works by default")
    parser.add_argument("--fresh", action="store_true", help="build all anew, with Debian's packages of today")
    parser.add_argument("--retag", default="", metavar="NAME", help="write the image again as another one, NAME")
    parser.add_argument(
        "--without", action="append", default=[], metavar="PATH", help="with --retag: a file to leave out"
    )
    options = parser.parse_args(arguments)
    progress = Progress()
    try:
        found = asyncio.run(image(options.base, options.tool, fresh=options.fresh, progress=progress))
        if options.retag:
            found = retagged(found, options.retag, options.without)
    except LocalError as error:
        print(f"the image was not built: {error}", file=sys.stderr)
        return 2 if isinstance(error, NoBuilderError) else 1
    for line in archive.table(archive.inspect(found)):
        print(line)
    print(found)
    return 0


async def image(base: str, tool_name: str, *, fresh: bool, progress: Progress) -> Path:
    """The archive of the image of this checkout, built unless the cache has it; raises LocalError."""
    cache = Cache()
    directory = cache.directory(KIND)
    generation = _generation(directory, fresh=fresh)
    with tempfile.TemporaryDirectory(prefix=".context-", dir=directory) as context_name:
        context = Path(context_name)
        parts = (stage(context), base, generation, platform.machine())
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
        build = _Build(base, tool_name, generation, context, cache, progress)
        entry = await cache.make(KIND, key, build.fill, progress)
    entry.touch()
    _forget_others(directory)
    return entry / ARCHIVE


def retagged(source: Path, name: str, without: Sequence[str] = ()) -> Path:
    """The image as another one, `name`, beside `source`; it shares all layers, so it costs a copy only."""
    safe = "".join(character if character.isalnum() or character in ".-" else "-" for character in name)
    target = source.with_name(f"{safe}.tar")
    draft = source.with_name(f".{safe}.{os.getpid()}")
    try:
        archive.rewrite(source, draft, [name], {"dev.polecat.retagged": name}, without)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


class _Build:
    """One build into an entry of the cache."""

    def __init__(
        self, base: str, tool_name: str, generation: str, context: Path, cache: Cache, progress: Progress
    ) -> None:
        self._base = base
        self._tool_name = tool_name
        self._generation = generation
        self._context = context
        self._cache = cache
        self._progress = progress

    async def fill(self, draft: Path) -> None:
        """Puts the archive and the list of packages into `draft`."""
        logs = make_private(self._cache.directory(KIND).parent / "logs", "log")
        tool = await find_tool(self._tool_name, logs / "image-build.log", self._cache, self._progress)

        def tell_waiting() -> None:
            self._progress.say("waiting for another polecat process that is building an image …")

        # The builder's names for images are the same for all builds.
        async with waiting_lock(self._cache.directory(KIND) / "builder.lock", tell_waiting):
            await self._fill(draft, tool)

    async def _fill(self, draft: Path, tool: Tool) -> None:
        arguments = await self._arguments(tool)
        raw = draft / "raw.tar"
        with tempfile.TemporaryDirectory() as private:
            given = secrets(Path(private), os.environ)
            async with self._progress.stage(f"image: building with {tool.name} ({tool.log})"):
                await tool.build(self._request(f"{_STORE_TAG}-sbom", "sbom", arguments, given))
                await tool.save(f"{_STORE_TAG}-sbom", raw)
                sbom = archive.read_file(raw, SBOM)
                raw.unlink()
                arguments["SBOM_DIGEST"] = f"sha256:{hashlib.sha256(sbom).hexdigest()}"
                # All steps were made for the first one; only the labels are new.
                await tool.build(self._request(_STORE_TAG, "", arguments, given))
        async with self._progress.stage("image: writing the archive"):
            await tool.save(_STORE_TAG, raw)
            tags = [f"polecat:{arguments['VERSION']}", "polecat:latest"]
            await asyncio.to_thread(archive.rewrite, raw, draft / ARCHIVE, tags)
            raw.unlink()
            (draft / SBOM).write_bytes(sbom)

    async def _arguments(self, tool: Tool) -> dict[str, str]:
        recipe = f"{directory_hash(self._context / 'container/image/inside')}-{self._generation}"
        arguments = {"VERSION": _version(), "REVISION": _revision(), "RECIPE": recipe}
        if self._base == BOOTSTRAP:
            arguments["BASE"] = await base_image(tool, self._cache, self._progress, self._generation)
        elif self._base:
            arguments["BASE"] = self._base
        return arguments

    def _request(self, tag: str, target: str, arguments: dict[str, str], given: dict[str, Path]) -> Request:
        return Request(self._context, self._context / CONTAINERFILE, tag, target, arguments, given)


def _generation(directory: Path, *, fresh: bool) -> str:
    """Which state of Debian's packages builds use: a new one at each `fresh`, kept until the next."""
    file = directory / "generation"
    if fresh:
        write_private(file, str(int(time.time())))
    return file.read_text().strip() if file.is_file() else "0"


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def _revision() -> str:
    """The last commit that touched what the image is made of; empty outside a Git checkout."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%H", "--", *SOURCES]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def _forget_others(directory: Path) -> None:
    entries = [entry for entry in directory.iterdir() if (entry / ARCHIVE).is_file() and not entry.name.startswith(".")]
    for entry in sorted(entries, key=lambda e: e.stat().st_mtime, reverse=True)[KEPT:]:
        shutil.rmtree(entry, ignore_errors=True)
