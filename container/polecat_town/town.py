"""The town pod: wires its parts together and runs them until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from polecat_api import protocol, quantities
from polecat_api.conditions import Reason
from polecat_api.town import Town, TownPod, TownSpec
from polecat_kube.api import KubeApi
from polecat_kube.errors import ApiError
from polecat_kube.informer import Informer
from polecat_kube.resources import CONFIG_MAP, POLECAT, RIG, TOWN
from polecat_town.domain.landlock import Isolation, probe_isolation
from polecat_town.egress.opening import open_egress
from polecat_town.egress.proxy import EgressProxy
from polecat_town.endpoint.access import StreamAccess
from polecat_town.endpoint.changes import ChangesRoutes
from polecat_town.endpoint.listener import bind
from polecat_town.endpoint.operations import Operations
from polecat_town.endpoint.server import AgentEndpoint
from polecat_town.endpoint.streams import StreamRoutes
from polecat_town.endpoint.tokens import AgentIdentity, TokenVerifier
from polecat_town.life.services import Services
from polecat_town.lock import PolecatLock
from polecat_town.measuring import Measurer
from polecat_town.pod.cpu import read_container_cpu_millicores
from polecat_town.pod.entry import PodEntry
from polecat_town.pod.guard import MemoryGuard
from polecat_town.pod.isolation import try_isolation
from polecat_town.pod.lease import PodLease
from polecat_town.pod.memory import read_container_memory
from polecat_town.pod.state import PodState, prepare_volume, watch_binary, watch_volume
from polecat_town.probes import Probes
from polecat_town.rigs import Rigs
from polecat_town.settings import Settings
from polecat_town.streams.hub import Streams
from polecat_town.streams.retention import pack_finished, prune
from polecat_town.supervisor import Supervisor
from polecat_town.work import WorkReader

log = logging.getLogger(__name__)
Json = dict[str, Any]
_PRUNE_SECONDS = 600.0
_LOOK_SECONDS = 1.0
_LEAVE_SECONDS = 5.0
"""How long, after all work is safe, the pod waits for its Polecats to be deleted."""


class PartEndedError(Exception):
    """A part of the supervisor has ended by itself; a new start is the way to mend that."""


class TownPodProgram:
    """Everything that one supervisor does."""

    def __init__(self, settings: Settings, api: KubeApi, lease_api: KubeApi) -> None:
        """`lease_api` is for the Lease alone: renewals must never wait behind other requests."""
        self._settings = settings
        self._api = api
        self._pod = PodState()
        self._spec: TownSpec | None = None
        self._isolation: Isolation = probe_isolation()
        self._egress: EgressProxy | None = None
        self._streams_url = ""
        self._tasks: list[asyncio.Task[Any]] = []
        namespace = settings.namespace
        self._lease = PodLease(
            lease_api,
            namespace,
            settings.pod_name,
            # A second process of the same pod is kept out by the lock on the volume.
            settings.pod_uid,
            renew_seconds=settings.lease_seconds,
            fencing_seconds=settings.fencing_seconds,
            on_fenced=self._fence,
        )
        self._rigs = Rigs(api, settings, self._rig_changed)
        self._probes = Probes(api, self._rigs, namespace, settings.probe_seconds)
        self._prune_now = asyncio.Event()
        self._streams = Streams(
            settings.streams_dir, segment_bytes=settings.stream_segment_bytes, on_rotated=self._prune_now.set
        )
        services = Services(
            settings=settings,
            api=api,
            rigs=self._rigs,
            pod=self._pod,
            streams=self._streams,
            tools_url=lambda: self._endpoint.tools_url,
            model_url=lambda: self._endpoint.model_url,
            starting=asyncio.Semaphore(max(4, 2 * (os.cpu_count() or 1))),
            name_is_free=self._name_is_free,
            agents=lambda: self._supervisor.agents,
        )
        self._supervisor = Supervisor(services, self._lease.confirmed, self._entry_changed)
        verifier = TokenVerifier(self._read_keys, self._is_current)
        self._endpoint = AgentEndpoint(settings.data_dir / "agent-port", verifier, self._supervisor.find)
        self._entry = PodEntry(
            api,
            namespace,
            settings.name,
            settings.pod_name,
            self._build_entry,
            every_seconds=settings.heartbeat_seconds,
        )
        self._polecats = Informer(
            api,
            POLECAT,
            namespace,
            self._supervisor.observe,
            label_selector=f"{protocol.LABEL_POD}={settings.pod_name}",
        )
        self._rig_informer = Informer(api, RIG, namespace, self._rigs.observe)
        self._town_informer = Informer(api, TOWN, namespace, self._town_changed)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then drains, and comes back when all work is safe or the time for it is over."""
        await prepare_volume(self._pod, self._settings, stop, self._entry.write)
        lock = PolecatLock(self._settings.data_dir / "locks" / "supervisor")
        if not await lock.wait(stop):
            return
        try:
            await self._run_alone(stop)
        finally:
            lock.release()

    async def _run_alone(self, stop: asyncio.Event) -> None:
        settings = self._settings
        access = StreamAccess(self._api, settings.namespace)
        streams = StreamRoutes(self._streams, access, settings.stream_stuck_seconds)
        changes = ChangesRoutes(WorkReader(lambda: self._supervisor.lives, self._rigs, self._streams), access)
        measurer = Measurer(lambda: self._supervisor.lives, lambda: self._state()[0], self._lease, settings.data_dir)
        operations = Operations(self._trouble, self._unready, measurer.look, (streams, changes))
        guard = MemoryGuard(
            lambda: self._supervisor.lives, self._pod, self._limit, settings.memory_check_seconds, self._room_changed
        )
        listening = bind(settings.listen_host, settings.listen_port, settings.data_dir / "town-port")
        self._streams_url = settings.streams_url(listening.getsockname()[1])
        await operations.start(listening)
        await self._endpoint.start()
        try:
            self._start(self._lease.run(), "lease")
            self._start(watch_binary(self._pod, settings, self._pod_changed), "binary")
            self._start(watch_volume(self._pod, settings, self._pod_changed), "volume")
            self._start(self._rig_informer.run(), "rigs")
            self._start(self._town_informer.run(), "town")
            await asyncio.gather(
                self._rig_informer.synced.wait(), self._town_informer.synced.wait(), self._open_network()
            )
            self._start(self._polecats.run(), "polecats")
            self._start(self._adopt(), "adoption")
            self._start(self._entry.run(), "entry")
            self._start(self._look(), "fence")
            self._start(guard.run(), "memory")
            self._start(self._prune(), "retention")
            self._start(measurer.watch_loop(), "measuring")
            ended = await self._until(stop)
            await self._drain()
            if ended:
                raise PartEndedError(f"ended by itself: {', '.join(ended)}")
        finally:
            await self._supervisor.stop()
            await self._probes.stop()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._endpoint.stop()
            if self._egress is not None:
                await self._egress.stop()
            await operations.stop()
            await self._lease.release()

    async def _open_network(self) -> None:
        """The agents' way out, and a try of what holds them; before the first of them starts."""
        settings = self._settings
        server = self._api.connection.server
        self._egress, self._pod.network = await open_egress(settings, server, self._rigs.endpoints)
        self._isolation = await try_isolation(settings, self._pod.network)
        log.info("%s", self._isolation.message)

    async def _until(self, stop: asyncio.Event) -> list[str]:
        """Until stopped, or a part has ended by itself, which only a defect can cause; gives the names of those."""
        stopped = asyncio.create_task(stop.wait())
        watched = [task for task in self._tasks if task.get_name() != "adoption"]
        done, _ = await asyncio.wait([stopped, *watched], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        ended = [task for task in watched if task in done]
        for task in ended:
            log.critical("the part %s ended", task.get_name(), exc_info=task.exception())
        return [task.get_name() for task in ended]

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _drain(self) -> None:
        """Stops all agents and makes their work safe, within the time that there is."""
        log.info("draining: no new work; %d polecats are stopped and saved", self._supervisor.slots_used)
        self._pod.draining = True
        self._entry_changed(urgent=True)
        began = time.monotonic()
        settled = asyncio.create_task(self._supervisor.settled())
        self._wake_all()
        # Work that is being published may still arrive in the first half of the time.
        await asyncio.wait([settled], timeout=self._settings.drain_seconds / 2)
        self._pod.drain_hard = True
        self._wake_all()
        await asyncio.wait([settled], timeout=self._settings.drain_seconds / 2)
        if settled.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_SECONDS):
                    await self._supervisor.empty()
            log.info("drained in %.1f s", time.monotonic() - began)
        else:
            settled.cancel()
            log.error("not all work is safe after %.0f s; the volume still has it", time.monotonic() - began)

    def _wake_all(self) -> None:
        for life in self._supervisor.lives:
            life.wake()

    # -- parts -----------------------------------------------------------------------------------------------

    async def _adopt(self) -> None:
        await self._polecats.synced.wait()
        await self._lease.confirmed()
        self._supervisor.adopt_orphans()

    async def _look(self) -> None:
        while True:
            self._lease.look()
            await asyncio.sleep(_LOOK_SECONDS)

    def _fence(self) -> None:
        for life in self._supervisor.lives:
            life.fence()

    async def _prune(self) -> None:
        while True:
            retention = (self._spec or TownSpec()).stream_retention
            total = quantities.to_bytes(retention.total_size)
            in_use = self._streams.in_use()
            root = self._settings.streams_dir
            await asyncio.to_thread(prune, root, in_use, time.time(), retention.age_seconds, total)
            await asyncio.to_thread(pack_finished, root, self._streams.in_use(), time.time())
            self._prune_now.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PRUNE_SECONDS):
                    await self._prune_now.wait()

    async def _read_keys(self) -> str:
        try:
            found = await self._api.get(CONFIG_MAP, self._settings.namespace, protocol.JWKS_CONFIG_MAP)
        except ApiError as error:
            log.warning("public keys not read: %s", error)
            return ""
        return str(((found or {}).get("data") or {}).get(protocol.JWKS_KEY, ""))

    def _limit(self) -> int:
        return quantities.to_bytes((self._spec or TownSpec()).agent_memory)

    # -- changes ---------------------------------------------------------------------------------------------

    def _town_changed(self, old: Json | None, new: Json | None) -> None:
        item = new or old or {}
        if item["metadata"]["name"] != self._settings.name:
            return
        before = self._spec
        try:
            # Its status is not ours, and may be of a newer version.
            self._spec = Town.model_validate({**item, "status": {}}).spec if new else None
        except ValidationError as error:
            log.error("town %s can't be read: %s", self._settings.name, error.errors()[0]["msg"])
            return
        self._supervisor.set_slots(self._spec.slots if self._spec else None)
        if (before is None) != (self._spec is None):
            self._entry_changed(urgent=True)

    def _rig_changed(self, rig: str) -> None:
        if self._settings.ordinal == 0:
            self._probes.restart(rig)
        self._entry_changed()
        self._wake_all()

    def _name_is_free(self, rig: str, name: str, uid: str) -> bool:
        return self._supervisor.name_is_free(rig, name, uid)

    def _is_current(self, identity: AgentIdentity) -> bool:
        return not self._lease.is_past_fence and self._supervisor.is_current(identity)

    def _entry_changed(self, *, urgent: bool = False) -> None:
        self._entry.changed(urgent=urgent)

    def _room_changed(self) -> None:
        self._supervisor.look_again()
        self._entry_changed(urgent=True)

    def _pod_changed(self) -> None:
        self._entry_changed(urgent=True)
        self._wake_all()

    def _build_entry(self, now: datetime) -> TownPod:
        reason, message = self._state()
        memory = read_container_memory()
        return TownPod(
            name=self._settings.pod_name,
            uid=self._settings.pod_uid,
            ready=reason is Reason.OK,
            reason=reason,
            message=message[:1024],
            isolation=self._isolation.level,
            slots_used=self._supervisor.slots_used,
            memory_bytes=memory.used_bytes,
            memory_limit_bytes=memory.limit_bytes,
            cpu_limit_millicores=read_container_cpu_millicores(),
            rigs=self._rigs.fetched()[:200],
            streams_url=self._streams_url,
            seen_time=now,
        )

    def _state(self) -> tuple[Reason, str]:
        if self._pod.draining:
            return Reason.STOPPING, "the pod is being stopped"
        if not self._pod.volume.ok:
            return self._pod.volume.reason, self._pod.volume.message
        if not self._pod.binary.ok:
            return Reason.AGENT_BINARY_BROKEN, self._pod.binary.message
        if not self._lease.held.is_set():
            return Reason.POD_SILENT, "the pod does not have its Lease"
        return Reason.OK, self._isolation.message if self._isolation.level != "IsolationFull" else ""

    def _trouble(self) -> str | None:
        ended = [task.get_name() for task in self._tasks if task.done() and task.get_name() != "adoption"]
        return f"ended: {', '.join(ended)}" if ended else None

    def _unready(self) -> str | None:
        if not self._polecats.synced.is_set():
            return "the polecats have not been listed yet"
        reason, message = self._state()
        return None if reason is Reason.OK else f"{reason.value}: {message}"
