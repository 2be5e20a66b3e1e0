"""Programs that are on this machine already: `KUBEBUILDER_ASSETS`, then `PATH`."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from polecat_local import versions
from polecat_local.binaries import PROGRAMS, Binaries, Declined
from polecat_local.commands import run
from polecat_local.progress import Progress

_WANTED = dict.fromkeys(PROGRAMS, versions.KUBERNETES) | {"etcd": versions.ETCD}
_VERSION_ARGUMENTS = {"kubectl": ["version", "--client"]}
_VERSION = re.compile(r"v?(\d+\.\d+\.\d+)")


class FoundProvider:
    """Serves only with all four programs, each of the same minor version as the table's."""

    name = "KUBEBUILDER_ASSETS and PATH"

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    async def provide(self, progress: Progress) -> Binaries | Declined:
        """The programs as they lie there."""
        search = os.pathsep.join(
            part for part in (self._environ.get("KUBEBUILDER_ASSETS"), self._environ.get("PATH")) if part
        )
        paths: list[Path] = []
        for program in PROGRAMS:
            found = shutil.which(program, path=search)
            if found is None:
                return Declined(f"no {program} there")
            paths.append(Path(found).absolute())
        for program, path in zip(PROGRAMS, paths, strict=True):
            outcome = await run([str(path), *_VERSION_ARGUMENTS.get(program, ["--version"])], env=self._environ)
            if reason := judge_version(program, outcome.tail):
                return Declined(reason)
        return Binaries.at(paths, f"found in {paths[0].parent}")


def judge_version(program: str, output: str) -> str | None:
    """Why a program with this version output does not fit; None if it does."""
    wanted = versions.minor(_WANTED[program])
    match = _VERSION.search(output)
    if match is None:
        return f"{program} does not tell its version"
    if versions.minor(match[1]) != wanted:
        return f"{program} is {match[1]}, and {wanted} is needed"
    return None
