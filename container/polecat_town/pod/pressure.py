"""When the container's memory is short, who has to go, and whether another agent may come. Pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from polecat_town.pod.memory import ContainerMemory

_MIB = 1 << 20
MARGIN_SHARE = 0.06
MARGIN_MAX_BYTES = 512 * _MIB
"""How much of the limit is kept free: what a few agents may take between two looks, and the supervisor needs to
save work."""
NEWCOMER_BYTES = 1 << 30
"""What a Kilo CLI comes to after its first turns; less where the town's `agentMemory` is less. The operator reckons
with the same when it places polecats, but on figures that are up to half a minute old."""


@dataclass(frozen=True, slots=True)
class Victim:
    """The agent that is to be stopped."""

    uid: str
    message: str
    alone: bool
    """There is no other agent: the container is too small for this one."""


def margin_bytes(limit_bytes: int) -> int:
    """What is kept free of a container's limit."""
    return min(MARGIN_MAX_BYTES, int(limit_bytes * MARGIN_SHARE))


def is_short(container: ContainerMemory) -> bool:
    """Whether an agent must go before the kernel chooses one, or ends the whole container."""
    return container.pressing_bytes > container.limit_bytes - margin_bytes(container.limit_bytes)


def choose_victim(container: ContainerMemory, used: Mapping[str, int]) -> Victim | None:
    """The biggest agent, which is over its share of what all agents use; None while there is room.

    `used` has each agent's bytes.
    """
    if not used or not is_short(container):
        return None
    uid = max(used, key=lambda each: (used[each], each))
    held, limit = container.pressing_bytes // _MIB, container.limit_bytes // _MIB
    message = f"the pod ran short of memory ({held} of {limit} MiB) and this agent used most, {used[uid] // _MIB} MiB"
    return Victim(uid, message, alone=len(used) == 1)


def has_room(container: ContainerMemory, agents: int, agent_memory_bytes: int) -> bool:
    """Whether another agent fits in besides `agents`; the first one always does."""
    newcomer = min(NEWCOMER_BYTES, agent_memory_bytes)
    return agents == 0 or container.pressing_bytes + newcomer <= container.limit_bytes
