"""What machine this is, in the words of the releases and packages we fetch."""

import platform
from pathlib import Path

from polecat_local.errors import LocalError

_MACHINES = {"x86_64": ("amd64", "x64"), "amd64": ("amd64", "x64"), "aarch64": ("arm64", "arm64")}


def release_arch() -> str:
    """`amd64` or `arm64`, as in Kubernetes and etcd release files; raises LocalError on other machines."""
    return _machine()[0]


def kilo_platform() -> str:
    """The suffix of Kilo's platform package for this machine, such as `linux-x64` or `linux-arm64-musl`.

    The `baseline` builds are for processors without AVX2.
    """
    arch = _machine()[1]
    baseline = "-baseline" if arch == "x64" and not _has_avx2() else ""
    return f"linux-{arch}{baseline}{'-musl' if _is_musl() else ''}"


def _machine() -> tuple[str, str]:
    if platform.system() != "Linux":
        raise LocalError(f"the embedded control plane runs on Linux only, and this is {platform.system()}")
    try:
        return _MACHINES[platform.machine().lower()]
    except KeyError:
        raise LocalError(f"no binaries are made for this kind of machine: {platform.machine()}") from None


def _is_musl() -> bool:
    return platform.libc_ver()[0] != "glibc" and any(Path("/lib").glob("ld-musl-*"))


def _has_avx2() -> bool:
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text().replace("\n", " ")
    except OSError:
        return True
