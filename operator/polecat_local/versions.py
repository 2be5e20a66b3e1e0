"""The one table of versions of everything that is fetched or built at set-up, with its checksums.

Release downloads are verified against the `.sha256` companion that the Kubernetes release publishes beside
each file, and against the `SHA256SUMS` of the etcd release, both fetched over TLS from the same release;
the Go modules are verified by `gomodule/go.sum`; the Kilo CLI by the npm integrity below.
"""

from dataclasses import dataclass

KUBERNETES = "1.36.3"
"""Of kube-apiserver, kube-controller-manager and kubectl; the same as in `gomodule/go.mod`."""

ETCD = "3.6.8"
"""The same as in `gomodule/go.mod`."""

KILO = "7.7.7"
"""Of `@kilocode/cli` and of its platform packages."""


@dataclass(frozen=True)
class NpmPackage:
    """One npm package, locked: `integrity` is npm's own Subresource-Integrity string (sha512, base64)."""

    name: str
    version: str
    integrity: str


KILO_PACKAGES: dict[str, NpmPackage] = {
    "linux-x64": NpmPackage(
        name="@kilocode/cli-linux-x64",
        version=KILO,
        integrity="sha512-QHb5D51imerjXjx/04lJz4APYtAsCI+Xehd8j5AniEJxwdmCkDML1xTkrCcIGpE6OFo7gI41LcwM03j93bqyjA==",
    ),
}
"""By platform (see `platforms.kilo_platform`). Of this version npm carries no other Linux package."""


def minor(version: str) -> str:
    """`"1.36.3"`, `"v1.36.3"` → `"1.36"`."""
    return ".".join(version.removeprefix("v").split(".")[:2])


def at_least(version: str, wanted: str) -> bool:
    """Whether a dotted numeric version is `wanted` or newer; suffixes such as `rc1` are left out."""
    return _numbers(version) >= _numbers(wanted)


def _numbers(version: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in version.removeprefix("v").removeprefix("go").split("."):
        digits = ""
        for character in part:
            if not character.isdigit():
                break
            digits += character
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
