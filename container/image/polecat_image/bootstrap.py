"""A base image from Debian packages, for machines that reach a Debian mirror and no image registry."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from polecat_image import packaged
from polecat_image.errors import NoBuilderError
from polecat_image.network import apt_options
from polecat_image.tools import EPOCH_SECONDS, Request, Tool
from polecat_local.cache import Cache
from polecat_local.commands import run
from polecat_local.progress import Progress

KIND = "image-base"
SUITE = "bookworm"
MIRRORS = (
    f"deb http://deb.debian.org/debian {SUITE} main",
    f"deb http://deb.debian.org/debian {SUITE}-updates main",
    f"deb http://deb.debian.org/debian-security {SUITE}-security main",
)
_CONTAINERFILE = 'FROM scratch\nADD rootfs.tar /\nCMD ["/bin/bash"]\n'
# What mmdebstrap is told about the network stays in its configuration for apt otherwise.
_FORGET = 'rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/resolv.conf "$1"/etc/hostname'
# Documentation and translations, as in Debian's own slim images; licences stay.
_SLIM = (
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/groff/*",
    "--dpkgopt=path-exclude=/usr/share/lintian/*",
)


async def base_image(tool: Tool, cache: Cache, progress: Progress, generation: str) -> str:
    """Tag of the base in the tool's store, made if need be; raises NoBuilderError or BuildFailedError.

    Each `generation` has its own, with Debian's packages of its day; those of other generations go.
    """
    recipe = hashlib.sha256("\n".join((*MIRRORS, *_SLIM, _CONTAINERFILE)).encode()).hexdigest()[:12]
    key = f"{SUITE}-{recipe}-{generation}"
    entry = await cache.make(KIND, key, lambda draft: _debian(draft, cache, progress), progress)
    for other in cache.directory(KIND).glob(f"{SUITE}-*/rootfs.tar"):
        if other.parent != entry:
            shutil.rmtree(other.parent, ignore_errors=True)
    tag = f"localhost/polecat-base:{key}"
    async with progress.stage("base image: taking it in"):
        await tool.build(Request(entry, entry / "Containerfile", tag))
    return tag


async def _debian(draft: Path, cache: Cache, progress: Progress) -> None:
    program = shutil.which("mmdebstrap")
    if program is None:
        if not packaged.possible():
            raise NoBuilderError("a base from Debian packages needs mmdebstrap: apt-get install mmdebstrap")
        program = await packaged.program("mmdebstrap", cache, progress)
    (draft / "Containerfile").write_text(_CONTAINERFILE)
    options = [f"--aptopt={_apt_line(option)}" for option in apt_options()]
    command = [
        program,
        "--variant=minbase",
        "--quiet",
        *options,
        *_SLIM,
        f"--customize-hook={_FORGET}",
        SUITE,
        str(draft / "rootfs.tar"),
        *MIRRORS,
    ]
    environ = dict(os.environ, SOURCE_DATE_EPOCH=str(EPOCH_SECONDS))
    async with progress.stage(f"base image: Debian {SUITE} from its packages"):
        outcome = await run(command, env=environ)
    if outcome.code != 0:
        raise NoBuilderError(f"a base could not be made from Debian's packages:\n{outcome.tail}")


def _apt_line(option: str) -> str:
    key, _, value = option.partition("=")
    return f'{key} "{value}"'
