"""The node's programs from Go modules, each built once and kept in the user's cache."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polecat_local.binaries import Declined
from polecat_local.cache import Cache
from polecat_local.commands import run
from polecat_local.errors import LocalError
from polecat_local.progress import Progress
from polecat_local.providers.gobuild import Go, build_environment, find_go
from polecat_local.providers.gosource import build_flags

MODULES = Path(__file__).with_name("gomodule")
KIND = "node"


@dataclass(frozen=True)
class Module:
    """A Go module beside this file; its `tool` lines name the programs that are built."""

    name: str
    flags: tuple[str, ...]
    own: tuple[str, ...] = ()
    """Packages of the module's own."""

    def key(self, go: Go) -> str:
        """Of the cache entry: versions with their checksums, sources, flags and compiler."""
        digest = hashlib.sha256()
        for file in sorted(path for path in (MODULES / self.name).rglob("*") if path.is_file()):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        digest.update("\0".join(self.flags).encode())
        return f"{self.name}-{digest.hexdigest()[:16]}-go{go.version}"


KUBERNETES = Module("kubernetes", tuple(build_flags()))
CONTAINERD = Module("containerd", ("-trimpath", "-buildvcs=false", "-ldflags", "-s -w"), ("./pause",))


class NodeProgramsError(LocalError):
    """The node's programs can't be had on this machine; the text is one sentence."""


async def built(
    modules: Sequence[Module], cache: Cache, progress: Progress, environ: Mapping[str, str] = os.environ
) -> list[Path]:
    """Directories with the programs of each module. Raises NodeProgramsError, LocalError."""
    go = await find_go(environ)
    if isinstance(go, Declined):
        raise NodeProgramsError(go.reason)
    work = cache.directory("go-node")
    found = [
        await cache.make(
            KIND, module.key(go), lambda draft, module=module: _build(go, module, draft, work, progress), progress
        )
        for module in modules
    ]
    await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
    return found


async def _build(go: Go, module: Module, draft: Path, work: Path, progress: Progress) -> None:
    env = await build_environment(go, work, os.environ)
    scratch = draft / ".tmp"
    scratch.mkdir()
    env["GOTMPDIR"] = str(scratch)
    compiled = 0

    def count(line: str) -> None:
        nonlocal compiled
        compiled += not line.startswith("go: ")
        progress.detail(f"{compiled} packages compiled")

    command = [str(go.program), "build", "-v", *module.flags, "-o", f"{draft}/", "tool", *module.own]
    async with progress.stage(f"node: compiling {module.name} (once; takes minutes)"):
        outcome = await run(command, env=env, cwd=MODULES / module.name, on_line=count)
    if outcome.code != 0:
        raise NodeProgramsError(f"{module.name} did not compile:\n{outcome.tail}")
    shutil.rmtree(scratch, ignore_errors=True)
