"""Git refs that Polecat makes: the builder and the parser of each are one tested pair."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

PREFIX_MIN_LENGTH = 6


@dataclass(frozen=True, slots=True)
class BranchName:
    """`<prefix>/<name>/<bead-id-prefix>`, e.g. `polecat/toast/3fa2b1`."""

    prefix: str
    name: str
    bead_id: str

    def __str__(self) -> str:
        return f"{self.prefix}/{self.name}/{self.bead_id}"


def bead_hex(bead_uid: str) -> str:
    """The hex digits of a UID without its dashes, lower case (32 of them)."""
    return bead_uid.replace("-", "").lower()


def build_branch(prefix: str, name: str, bead_uid: str, others: Collection[str] = ()) -> BranchName:
    """The branch of a bead: six hex digits of its UID, lengthened while another bead's UID begins alike.

    `others` are the UIDs (or already used id prefixes) of other beads of the rig.
    """
    own = bead_hex(bead_uid)
    rivals = [bead_hex(other) for other in others if bead_hex(other) != own]
    length = PREFIX_MIN_LENGTH
    while length < len(own) and any(rival.startswith(own[:length]) for rival in rivals):
        length += 1
    return BranchName(prefix, name, own[:length])


def parse_branch(branch: str, prefix: str) -> BranchName | None:
    """The parts of a branch that `build_branch` made with this prefix; None for any other branch."""
    head, _, rest = branch.removeprefix("refs/heads/").partition(f"{prefix}/")
    name, slash, bead_id = rest.partition("/")
    if head or not slash or not name or not PREFIX_MIN_LENGTH <= len(bead_id) <= 32:
        return None
    if set(bead_id) - set("0123456789abcdef"):
        return None
    return BranchName(prefix, name, bead_id)


def blocking_refs(prefix: str, name: str) -> tuple[str, str]:
    """Branches that make `<prefix>/<name>/…` impossible, as a Git ref can't be a file and a directory."""
    return f"refs/heads/{prefix}", f"refs/heads/{prefix}/{name}"


def work_ref(polecat_uid: str) -> str:
    """Where the town's store keeps the commits taken over from a running polecat."""
    return f"refs/polecat/work/{polecat_uid}"


def saved_ref(bead_uid: str, attempt: int) -> str:
    """Where work of an attempt that did not finish is kept, in the store and on the remote."""
    return f"refs/polecat/saved/{bead_uid}/{attempt}"


def parse_saved_ref(ref: str) -> tuple[str, int] | None:
    """(bead UID, attempt) of a ref made by `saved_ref`; None for any other ref."""
    parts = ref.split("/")
    if len(parts) != 5 or parts[:3] != ["refs", "polecat", "saved"] or not parts[4].isdigit():
        return None
    return parts[3], int(parts[4])
