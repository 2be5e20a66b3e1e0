"""A control group with a limit of memory, as a container has one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_V2 = Path("/sys/fs/cgroup")
_V1 = _V2 / "memory"
_EMPTY_SECONDS = 20.0


@contextlib.contextmanager
def memory_group(limit_bytes: int) -> Iterator[Path]:
    """Its directory; processes enter it by their id in `cgroup.procs`. Skips the test where none can be made."""
    v1 = (_V1 / "memory.limit_in_bytes").exists()
    group = (_V1 if v1 else _V2) / f"polecat-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error.strerror}")
    try:
        try:
            (group / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(limit_bytes))
        except OSError as error:
            pytest.skip(f"memory can't be limited by a control group here: {error.strerror}")
        yield group
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    deadline = time.monotonic() + _EMPTY_SECONDS
    while True:
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        try:
            group.rmdir()
        except OSError:
            assert time.monotonic() < deadline, f"{group} is still in use"
            time.sleep(0.05)
        else:
            return
