"""Debian packages taken apart in a directory; nothing is installed, and the machine stays as it is."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from polecat_local.commands import run
from polecat_local.errors import LocalError


class PackagesError(LocalError):
    """Packages could not be fetched or unpacked; carries the end of what the program wrote."""


def release() -> str:
    """The machine's release, such as `bookworm`."""
    values = platform.freedesktop_os_release()
    return values.get("VERSION_CODENAME", values.get("VERSION_ID", "unknown"))


async def unpack(packages: Sequence[str], draft: Path) -> None:
    """Puts what is in the packages below `draft/root`. Raises PackagesError."""
    # apt-get drops to a user of its own to download, who can't write here; as root it only warns.
    command = ["/usr/bin/env", "apt-get", "-o", "APT::Sandbox::User=root", "-qq"]
    outcome = await run([*command, "download", *packages], env=os.environ, cwd=draft)
    if outcome.code != 0:
        # The lists are missing, or older than the mirror.
        await run([*command, "update"], env=os.environ, cwd=draft)
        outcome = await run([*command, "download", *packages], env=os.environ, cwd=draft)
    if outcome.code != 0:
        raise PackagesError(f"could not be fetched from Debian:\n{outcome.tail}")
    for package in sorted(draft.glob("*.deb")):
        outcome = await run(
            ["/usr/bin/env", "dpkg-deb", "-x", str(package), str(draft / "root")], env=os.environ, cwd=draft
        )
        if outcome.code != 0:
            raise PackagesError(f"could not be unpacked from {package.name}:\n{outcome.tail}")
        package.unlink()
