"""What the build from Go modules is made of, and the key under which its result is kept."""

import hashlib
from pathlib import Path

from polecat_local import versions

MODULE_DIR = Path(__file__).parents[1] / "gomodule"
SOURCES = ("go.mod", "go.sum", "main.go")
_VERSION_PACKAGE = "k8s.io/component-base/version"


def build_flags() -> list[str]:
    """Flags of `go build`: small, reproducible, and with the version that kubectl and the API server tell."""
    major, minor = versions.minor(versions.KUBERNETES).split(".")
    stamps = {"gitVersion": f"v{versions.KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    stamped = " ".join(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in stamps.items())
    return ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {stamped}"]


def source_key() -> str:
    """16 hex digits over the sources and flags."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update(name.encode() + b"\0" + (MODULE_DIR / name).read_bytes() + b"\0")
    digest.update("\0".join(build_flags()).encode())
    return digest.hexdigest()[:16]


def minimum_go() -> str:
    """The oldest Go that can build it, as go.mod says, such as `1.26.0`."""
    for line in (MODULE_DIR / "go.mod").read_text().splitlines():
        if line.startswith("go "):
            return line.split()[1]
    raise ValueError("go.mod has no go line")
