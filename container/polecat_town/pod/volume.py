"""Whether the town's volume can be written: what is done while it is full or read-only could not be kept."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from polecat_api.conditions import Reason

_MIB = 1 << 20
_PROBE_BYTES = 1 << 12
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Volume:
    """How the volume stood when it was last tried."""

    reason: Reason = Reason.OK
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether work can be begun."""
        return self.reason is Reason.OK


def check_volume(directory: Path, reserve_bytes: int) -> Volume:
    """Writes a small file and takes it away again; `reserve_bytes` must stay free for saving work."""
    probe = directory / f".writable-{os.getpid()}"
    try:
        probe.write_bytes(b"\0" * _PROBE_BYTES)
        probe.unlink()
        found = os.statvfs(directory)
    except OSError as error:
        return explain(error, directory)
    free = found.f_bavail * found.f_frsize
    if free < reserve_bytes:
        message = (
            f"the volume of {directory} has {free // _MIB} MiB left, less than the {reserve_bytes // _MIB} kept free"
        )
        return Volume(Reason.DISK_FULL, message)
    return Volume()


def explain(error: OSError, directory: Path) -> Volume:
    """What an error of a write says about the volume."""
    if error.errno in _FULL:
        return Volume(Reason.DISK_FULL, f"the volume of {directory} is full: {error.strerror}")
    return Volume(Reason.VOLUME_NOT_WRITABLE, f"the volume of {directory} can't be written: {error.strerror}")
