"""What every life is given: the pod's parts, as one object."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from polecat_kube.api import KubeApi
from polecat_town.pod.state import PodState
from polecat_town.rigs import Rigs
from polecat_town.settings import Settings
from polecat_town.streams.hub import Streams


@dataclass(frozen=True)
class Services:
    """The pod's parts that a life uses."""

    settings: Settings
    api: KubeApi
    rigs: Rigs
    pod: PodState
    streams: Streams
    tools_url: Callable[[], str]
    """Our MCP endpoint."""
    model_url: Callable[[], str]
    """Our model proxy."""
    starting: asyncio.Semaphore
    """Held while an agent's process becomes ready: more at once than the machine can start are all late."""
    name_is_free: Callable[[str, str, str], bool]
    """(rig, name, uid): whether no other life uses the directory of this name."""
    agents: Callable[[], int]
    """How many agents there are, running or just ended."""

    @property
    def kilo(self) -> Path:
        """The program that was found to run; the wished-for path until then."""
        return self.pod.binary.path or self.settings.kilo_path
