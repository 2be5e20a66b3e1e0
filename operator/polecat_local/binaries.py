"""The four programs of the embedded control plane, and the chain of places they may come from."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from polecat_local.errors import NoBinariesError
from polecat_local.progress import Progress

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


@dataclass(frozen=True)
class Binaries:
    """Absolute paths of the programs, and where they come from, in words."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path
    source: str

    @classmethod
    def at(cls, paths: Sequence[Path], source: str) -> "Binaries":
        """From four paths in the order of PROGRAMS."""
        etcd, kube_apiserver, kube_controller_manager, kubectl = paths
        return cls(etcd, kube_apiserver, kube_controller_manager, kubectl, source)

    @classmethod
    def in_directory(cls, directory: Path, source: str) -> "Binaries":
        """All four under their own names in one directory."""
        return cls.at([directory / program for program in PROGRAMS], source)


@dataclass(frozen=True)
class Declined:
    """Why a provider does not serve, as half a sentence that follows its name and a colon."""

    reason: str


class Provider(Protocol):
    """One place that the binaries may come from."""

    @property
    def name(self) -> str:
        """In words, as in "official release download"."""

    async def provide(self, progress: Progress) -> Binaries | Declined:
        """The binaries, or why not. Raises LocalError only for what stops the other providers as well."""


async def first_that_serves(providers: Sequence[Provider], progress: Progress) -> Binaries:
    """Asks one provider after the other; raises NoBinariesError with each one's reason if none serves."""
    reasons: list[str] = []
    for provider in providers:
        match await provider.provide(progress):
            case Binaries() as binaries:
                return binaries
            case Declined(reason):
                reasons.append(f"{provider.name}: {reason}")
    listed = "\n".join(f"  - {reason}" for reason in reasons)
    raise NoBinariesError(f"the control plane's programs could not be had from any place:\n{listed}")


def link_kubectl(kubectl: Path, directory: Path) -> Path:
    """Puts `kubectl` into `directory` as a symbolic link (replacing an older link); gives the link's path."""
    link = directory / "kubectl"
    if link.is_symlink() or not link.exists():
        draft = directory / ".kubectl.new"
        draft.unlink(missing_ok=True)
        draft.symlink_to(kubectl)
        draft.replace(link)
    return link


def kubectl_on_path() -> Path | None:
    """The kubectl that the user's shell finds; None if there is none."""
    found = shutil.which("kubectl")
    return Path(found) if found else None
