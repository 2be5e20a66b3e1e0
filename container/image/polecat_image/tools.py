"""The programs that can build the image: buildah, podman, docker. They differ in a few options only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polecat_image import packaged
from polecat_image.errors import BuildFailedError, NoBuilderError
from polecat_local.cache import Cache
from polecat_local.commands import run
from polecat_local.progress import Progress

EPOCH_SECONDS = 1767225600
"""2026-01-01, the time of all files and layers: with the time of the build no two images would be the same."""
NAMES = ("buildah", "podman", "docker")
"""In the order in which they are looked for."""
_ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class Request:
    """One build: `target` is a stage of the Containerfile, empty for the last."""

    context: Path
    containerfile: Path
    tag: str
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Tool:
    """A builder found on this machine."""

    name: str
    program: str
    log: Path

    async def build(self, request: Request) -> None:
        """Builds and tags; raises BuildFailedError with the end of the log."""
        options = [f"--file={request.containerfile}", f"--tag={request.tag}"]
        options += [f"--target={request.target}"] if request.target else []
        options += [f"--build-arg={name}={value}" for name, value in request.arguments.items()]
        options += [f"--secret=id={name},src={path}" for name, path in request.secrets.items()]
        await self._run(["build", *self._own_options(), *options, str(request.context)])

    async def save(self, tag: str, archive: Path) -> None:
        """Writes the image as a docker-archive."""
        if self.name == "buildah":
            await self._run(["push", tag, f"docker-archive:{archive}:{tag}"])
        elif self.name == "podman":
            await self._run(["save", "--format=docker-archive", f"--output={archive}", tag])
        else:
            await self._run(["save", f"--output={archive}", tag])

    def _own_options(self) -> list[str]:
        if self.name == "docker":
            return [f"--build-arg=SOURCE_DATE_EPOCH={EPOCH_SECONDS}"]
        # Steps run in a chroot with the machine's network: no runtime, no cgroups, no network set-up are needed.
        return ["--isolation=chroot", "--layers", "--format=docker", f"--timestamp={EPOCH_SECONDS}"]

    async def _run(self, arguments: Sequence[str]) -> None:
        environ = dict(os.environ, DOCKER_BUILDKIT="1")
        with self.log.open("a") as log:
            log.write(f"$ {self.name} {' '.join(arguments)}\n")
            outcome = await run([self.program, *arguments], env=environ, on_line=lambda line: print(line, file=log))
        if outcome.code != 0:
            raise BuildFailedError(f"{self.name} {arguments[0]} failed ({self.log}):\n{outcome.tail}")


async def find_tool(wanted: str, log: Path, cache: Cache, progress: Progress) -> Tool:
    """The first builder that answers, or `wanted` alone if it is given; raises NoBuilderError.

    A machine that has none, but Debian's packages within reach, gets buildah into its cache.
    """
    tried: list[str] = []
    for name in (wanted,) if wanted else NAMES:
        program = shutil.which(name)
        if program is None:
            tried.append(f"{name} is not on PATH")
        elif (problem := _problem(name, program)) is None:
            return Tool(name, program, log)
        else:
            tried.append(f"{name} does not work: {problem}")
    if wanted in ("", "buildah") and packaged.possible():
        return Tool("buildah", await packaged.program("buildah", cache, progress), log)
    raise NoBuilderError(f"no program to build images with: {'; '.join(tried)}. On Debian: apt-get install buildah")


def _problem(name: str, program: str) -> str | None:
    """Why a builder can't be used; None if it can. `docker version` asks its daemon, the others have none."""
    try:
        command = [program, "version" if name == "docker" else "--version"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
