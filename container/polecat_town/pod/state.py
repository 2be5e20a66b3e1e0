"""How the pod stands, and the two watches that find it out: of the Kilo CLI, and of the volume."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from polecat_town.domain.network import Network, open_network
from polecat_town.pod.binary import Binary, check_binary
from polecat_town.pod.volume import Volume, check_volume, explain
from polecat_town.settings import Settings

log = logging.getLogger(__name__)
_FOLDERS = ("rigs", "state", "locks", "streams", "logs")


@dataclass
class PodState:
    """How the pod stands. Changed by the supervisor only; lives read it."""

    binary: Binary = field(default_factory=lambda: Binary(None, message="the Kilo CLI has not been tried yet"))
    volume: Volume = field(default_factory=Volume)
    network: Network = field(default_factory=open_network)
    """That of agents."""
    has_room: bool = True
    """Whether another agent fits into the container's memory."""
    draining: bool = False
    drain_hard: bool = False


async def prepare_volume(
    state: PodState, settings: Settings, stop: asyncio.Event, tell: Callable[[], Awaitable[object]]
) -> None:
    """Comes back when the volume can be written, or `stop` is set; `tell` says meanwhile why it can't be."""
    while not stop.is_set():
        try:
            for folder in _FOLDERS:
                (settings.data_dir / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
            state.volume = check_volume(settings.data_dir, 0)
        except OSError as error:
            state.volume = explain(error, settings.data_dir)
        if state.volume.ok:
            return
        log.error("%s", state.volume.message)
        await tell()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.volume_check_seconds):
                await stop.wait()


async def watch_volume(state: PodState, settings: Settings, changed: Callable[[], None]) -> None:
    """Tries the volume from time to time, for ever."""
    while True:
        found = await asyncio.to_thread(check_volume, settings.data_dir, settings.reserve_bytes)
        before, state.volume = state.volume, found
        if found.reason is not before.reason:
            log.log(logging.INFO if found.ok else logging.ERROR, "%s", found.message or "the volume is well again")
            changed()
        await asyncio.sleep(settings.volume_check_seconds)


async def watch_binary(state: PodState, settings: Settings, changed: Callable[[], None]) -> None:
    """Tries the Kilo CLI from time to time, for ever."""
    while True:
        state.binary = await check_binary(settings.kilo_path)
        changed()
        if state.binary.ok:
            log.info("the Kilo CLI is %s, version %s", state.binary.path, state.binary.version)
            # It can be broken later as well, but not often; agents that fail to start say so.
            await asyncio.sleep(settings.binary_check_seconds * 10)
        else:
            log.error("%s", state.binary.message)
            await asyncio.sleep(settings.binary_check_seconds)
