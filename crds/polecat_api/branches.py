"""Git refs that Polecat makes, and what they say."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass


def _folder(kind: str) -> str:
    return f"refs/polecat/{kind}/"


PREFIX_MIN_LENGTH = 6
SAVED = _folder("saved")
WORK = _folder("work")
_SAVED_REF = re.compile(rf"^{SAVED}(?P<bead>[^/]+)/(?P<attempt>[0-9]+)(?:-(?P<serial>[0-9]+))?$")


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


def work_ref(polecat_uid: str) -> str:
    """Where the town's store keeps the commits taken over from a running polecat."""
    return f"{WORK}{polecat_uid}"


@dataclass(frozen=True, slots=True)
class SavedRef:
    """A place of work of an attempt that did not finish. Ordered by `(attempt, serial)` within a bead."""

    bead_uid: str
    attempt: int
    serial: int = 1
    """Counts places of one attempt: work that does not build on what the first one holds goes to the next."""

    def __str__(self) -> str:
        return f"{saved_folder(self.bead_uid)}{self.attempt}" + (f"-{self.serial}" if self.serial > 1 else "")


def saved_folder(bead_uid: str) -> str:
    """The folder of a bead's saved work, in the store and on the remote; ends in a slash."""
    return f"{SAVED}{bead_uid}/"


def saved_ref(bead_uid: str, attempt: int, serial: int = 1) -> str:
    """Where work of an attempt that did not finish is kept: `…/<attempt>`, or `…/<attempt>-<serial>`."""
    return str(SavedRef(bead_uid, attempt, serial))


def parse_saved_ref(ref: str) -> SavedRef | None:
    """The parts of a ref made by `saved_ref`; None for any other ref."""
    match = _SAVED_REF.match(ref)
    return SavedRef(match["bead"], int(match["attempt"]), int(match["serial"] or 1)) if match else None
