"""Gets ahead of time what a node runs, its programs and the shipped image, or says why this machine can't carry one."""

import asyncio

from polecat_local.cache import Cache
from polecat_local.progress import Progress
from support.node.building import NodeProgramsError
from support.node.installing import NoImageBuilderError, build_image
from support.node.preflight import why_not
from support.node.programs import node_programs

_SKIPPED = "tests on a node will be skipped"


def prepare() -> str:
    """One sentence."""
    if lacking := why_not():
        return f"{_SKIPPED}: {lacking}"
    try:
        programs = asyncio.run(node_programs(Cache(), Progress()))
        image = build_image("--base", "bootstrap")
    except (NodeProgramsError, NoImageBuilderError) as error:
        return f"{_SKIPPED}: {error}"
    return f"node: {programs.kubernetes}, {programs.containerd}, {programs.packaged.runc}, {image}"


print(prepare())
