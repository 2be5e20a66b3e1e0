"""What all controllers share."""

from __future__ import annotations

from dataclasses import dataclass

from polecat_kube.api import KubeApi
from polecat_operator.board import Board
from polecat_operator.cache import Cache
from polecat_operator.clock import Clock
from polecat_operator.executor import Executor, Fence
from polecat_operator.posting import EventPoster
from polecat_operator.queue import KeyedQueue
from polecat_operator.settings import Settings
from polecat_operator.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Context:
    """Wired once, at the start."""

    settings: Settings
    api: KubeApi
    cache: Cache
    board: Board
    queue: KeyedQueue
    snapshots: Snapshots
    executor: Executor
    events: EventPoster
    fence: Fence
    clock: Clock
