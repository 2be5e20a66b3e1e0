"""What no Go module carries: runc, the CNI plugins and iptables, from the machine or out of Debian packages.

Packages are taken apart in the user's cache and never installed: the machine stays as it is.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from polecat_image import debian
from polecat_local.cache import Cache
from polecat_local.progress import Progress
from support.node.building import KIND, NodeProgramsError

PACKAGES = (
    "runc",
    "containernetworking-plugins",
    "iptables",
    # What iptables is linked with, and a slim machine lacks.
    "libip4tc2",
    "libip6tc2",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
    "libxtables12",
)
PLUGINS = ("bridge", "host-local", "loopback", "portmap")
_PLUGIN_DIRS = (Path("/opt/cni/bin"), Path("/usr/lib/cni"), Path("/usr/libexec/cni"))
_IPTABLES = tuple(f"{name}{tail}" for name in ("iptables", "ip6tables") for tail in ("", "-save", "-restore"))
_WRAPPER = """\
#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")/root
libraries=$(echo "$root"/usr/lib/*-linux-gnu)
LD_LIBRARY_PATH=$libraries XTABLES_LIBDIR=$libraries/xtables exec "$root"/usr/sbin/xtables-nft-multi {name} "$@"
"""


@dataclass(frozen=True)
class Packaged:
    """Where they are."""

    runc: Path
    plugins: Path
    """Directory of the CNI plugins."""
    path: str
    """To be put before PATH, for iptables."""


async def packaged(cache: Cache, progress: Progress) -> Packaged:
    """Those of the machine if it has all of them, else Debian's. Raises NodeProgramsError, LocalError."""
    return _found() or await _from_debian(cache, progress)


def _found() -> Packaged | None:
    runc, iptables = shutil.which("runc"), shutil.which("iptables")
    plugins = next((d for d in _PLUGIN_DIRS if all((d / plugin).exists() for plugin in PLUGINS)), None)
    if runc is None or iptables is None or plugins is None:
        return None
    return Packaged(Path(runc), plugins, str(Path(iptables).parent))


async def _from_debian(cache: Cache, progress: Progress) -> Packaged:
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise NodeProgramsError(
            f"runc, iptables and the CNI plugins are not installed, and without {missing[0]} they can't be fetched"
        )

    async def fill(draft: Path) -> None:
        async with progress.stage("node: fetching runc, iptables and the CNI plugins from Debian"):
            await _unpack(draft)

    entry = await cache.make(KIND, f"debian-{debian.release()}-1", fill, progress)
    return Packaged(entry / "root/usr/sbin/runc", entry / "root/usr/lib/cni", str(entry / "bin"))


async def _unpack(draft: Path) -> None:
    try:
        await debian.unpack(PACKAGES, draft)
    except debian.PackagesError as error:
        raise NodeProgramsError(f"runc, iptables and the CNI plugins {error}") from error
    (draft / "bin").mkdir()
    for name in _IPTABLES:
        wrapper = draft / "bin" / name
        wrapper.write_text(_WRAPPER.format(name=name))
        wrapper.chmod(0o755)
