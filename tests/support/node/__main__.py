"""Gets a node's programs ahead of time, or says why this machine can't carry a node."""

import asyncio

from polecat_local.cache import Cache
from polecat_local.progress import Progress
from support.node.building import NodeProgramsError
from support.node.preflight import why_not
from support.node.programs import node_programs


def prepare() -> str:
    """One sentence."""
    if lacking := why_not():
        return f"tests on a node will be skipped: {lacking}"
    try:
        programs = asyncio.run(node_programs(Cache(), Progress()))
    except NodeProgramsError as error:
        return f"tests on a node will be skipped: {error}"
    return f"node: {programs.kubernetes}, {programs.containerd}, {programs.packaged.runc}"


print(prepare())
