"""An operator for one namespace as a process of its own, against the shared control plane."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from support.control_plane import SharedControlPlane


@asynccontextmanager
async def operator_process(
    plane: SharedControlPlane, namespace: str, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m polecat_operator`; killed at the end if it still runs. `settings`: names without their prefix."""
    wanted = {
        "NAMESPACE": namespace,
        "WATCH_NAMESPACES": f'["{namespace}"]',
        "TOWN_WORKLOADS": "external",
        **settings,
    }
    env = {
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(plane.kubeconfig),
        **{f"POLECAT_OPERATOR_{name}": value for name, value in wanted.items()},
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "polecat_operator", env=env)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
