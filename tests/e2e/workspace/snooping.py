"""What a curious agent tries while the supervisor is signed in somewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from polecat_town.domain.landlock import probe_isolation

from .conftest import Agent

isolated = pytest.mark.skipif(probe_isolation().abi < 1, reason="this kernel has no Landlock to keep agents apart")
LOOK = (
    "env; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; "
    "find /proc/[0-9]*/fd -maxdepth 1 -lname '/memfd:*' -exec cat {} + 2>/dev/null"
)
"""Arguments, environments and files in memory of every process."""


async def seen_by(agent: Agent) -> str:
    """All that an agent can see of other processes."""
    done = await agent.workspace.run(f"{{ {LOOK}; }} > ../seen", 60.0)
    assert not done.timed_out
    seen = (agent.workspace.worktree.parent / "seen").read_text(errors="replace")
    assert "PATH=" in seen, "an agent sees itself at least"
    return seen


def seen_from_outside() -> str:
    """The same for somebody who is in no domain: that there is something to be found."""
    return subprocess.run(["sh", "-c", LOOK], capture_output=True, check=False).stdout.decode(errors="replace")


def written(directory: Path, secret: str) -> list[Path]:
    """Files that hold a secret."""
    return [
        path
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
    ]
