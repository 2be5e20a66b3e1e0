"""buildah and mmdebstrap out of Debian packages, for a machine that has neither.

The packages are taken apart in the user's cache and never installed: the machine stays as it is.
"""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from polecat_image import debian
from polecat_image.errors import NoBuilderError
from polecat_local.cache import Cache
from polecat_local.progress import Progress

KIND = "image-tools"
RECIPE = "1"
"""Changes with the list below or with the wrappers."""
PACKAGES = (
    "buildah",
    "golang-github-containers-common",
    "golang-github-containers-image",
    "mmdebstrap",
    # What buildah is linked with, and a slim machine lacks.
    "libassuan0",
    "libdevmapper1.02.1",
    "libgpg-error0",
    "libgpgme11",
    "libseccomp2",
    "libsubid4",
    "libudev1",
)
# buildah starts itself again with an empty environment, so its libraries are laid over the system's, for it alone.
# It finds its policy in the home directory before /etc. Its store is apart from that of the machine.
_BUILDAH = """\
#!/bin/sh
here=$(dirname "$(dirname "$(readlink -f "$0")")")
libraries=$(echo "$here"/root/usr/lib/*-linux-gnu)
system=/usr/lib/${libraries##*/}
exec unshare --mount --propagation private sh -c '
    mount -t overlay overlay -o "lowerdir=$1:$2" "$2" || exit
    shift 2
    exec "$@"
' sh "$libraries" "$system" env HOME="$here/home" "$here/root/usr/bin/buildah" \\
    --root "$here/store" --runroot "$here/run" --registries-conf "$here/root/etc/containers/registries.conf" "$@"
"""
_MMDEBSTRAP = """\
#!/bin/sh
here=$(dirname "$(dirname "$(readlink -f "$0")")")
PATH="$here/root/usr/bin:$PATH" exec perl "$here/root/usr/bin/mmdebstrap" "$@"
"""


def possible() -> bool:
    """Whether this machine can fetch and run them: Debian or one of its kind, as root."""
    return os.geteuid() == 0 and all(shutil.which(tool) for tool in ("apt-get", "dpkg-deb", "perl"))


async def program(name: str, cache: Cache, progress: Progress) -> str:
    """Path of `buildah` or `mmdebstrap`, fetched if need be; raises NoBuilderError."""
    key = f"debian-{debian.release()}-{platform.machine()}-{RECIPE}"

    async def fill(draft: Path) -> None:
        async with progress.stage("image: fetching buildah and mmdebstrap from Debian"):
            await _unpack(draft)

    return str(await cache.make(KIND, key, fill, progress) / "bin" / name)


async def _unpack(draft: Path) -> None:
    try:
        await debian.unpack(PACKAGES, draft)
    except debian.PackagesError as error:
        raise NoBuilderError(f"buildah and mmdebstrap {error}") from error
    # Some of the libraries lie in /lib, which is /usr/lib on a machine of today.
    shutil.copytree(draft / "root/lib", draft / "root/usr/lib", symlinks=True, dirs_exist_ok=True)
    policy = draft / "home" / ".config" / "containers" / "policy.json"
    policy.parent.mkdir(parents=True)
    shutil.copyfile(draft / "root/etc/containers/policy.json", policy)
    (draft / "bin").mkdir()
    for name, wrapper in (("buildah", _BUILDAH), ("mmdebstrap", _MMDEBSTRAP)):
        path = draft / "bin" / name
        path.write_text(wrapper)
        path.chmod(0o755)
