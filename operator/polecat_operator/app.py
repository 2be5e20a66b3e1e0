"""The operator as one object: wired in one place, so that tests run the same thing as production."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from polecat_api.protocol import OPERATOR_MANAGER
from polecat_kube.api import KubeApi, sleep_before_retry
from polecat_kube.connection import Connection
from polecat_kube.errors import ApiError
from polecat_kube.resources import ResourceType
from polecat_operator import metrics
from polecat_operator.board import Board
from polecat_operator.bookkeeping import Bookkeeper
from polecat_operator.clock import Clock
from polecat_operator.context import Context
from polecat_operator.controllers.bead import BeadController
from polecat_operator.controllers.polecat import PolecatController
from polecat_operator.controllers.schedule import ScheduleController
from polecat_operator.controllers.standing import StandingController
from polecat_operator.controllers.token import TokenController
from polecat_operator.controllers.workload import WorkloadController
from polecat_operator.executor import Executor
from polecat_operator.handlers import watch_for_ever
from polecat_operator.health import serve
from polecat_operator.intake import Intake
from polecat_operator.lease import Elector
from polecat_operator.measuring import Measurer
from polecat_operator.posting import EventPoster
from polecat_operator.queue import KeyedQueue
from polecat_operator.routing import Router
from polecat_operator.settings import Settings
from polecat_operator.snapshots import Snapshots
from polecat_operator.sweep import Sweeper
from polecat_operator.tokens import Keys
from polecat_operator.workers import work
from polecat_operator.workloads.watch import WorkloadWatch

log = logging.getLogger(__name__)
SWEEP_SECONDS = 5.0
"""How often it is looked whether pods have gone silent."""
POSTERS = 2
STOP_SECONDS = 1.5
"""Grace for kopf at the end."""


class Operator:
    """Runs until `stop` is set, or fails when it may not or can't go on; the process is then started anew."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock | None = None) -> None:
        self.stop = asyncio.Event()
        self._connection = connection
        self._settings = settings
        self._clock = clock or Clock()
        measured = (metrics.REQUESTS.middleware,)
        self._api = KubeApi(connection, connections=16, manager=OPERATOR_MANAGER, middlewares=measured)
        self._lease_api = KubeApi(
            connection,
            connections=2,
            timeout_seconds=max(1.0, settings.renew_seconds),
            manager=OPERATOR_MANAGER,
            middlewares=measured,
        )
        self._queue = KeyedQueue(later_limit=max(1, settings.workers // 4))
        self._board = Board()
        self._events = EventPoster(self._api, self._queue, self._clock)
        self._router = Router(self._queue, self._board, settings, self._clock)
        self._cache = self._router.cache
        self._elector = Elector(self._lease_api, settings, self._clock)
        self._intake = Intake(self._cache)
        self._measurer = Measurer(self._queue, self._board, self._router, self._elector, self._clock)
        self._keys = Keys(self._api, settings.namespace, self._clock, settings.key_rotation_seconds)
        books = Bookkeeper(self._cache, self._board, self._queue, self._events, self._clock)
        context = Context(
            settings=settings,
            api=self._api,
            cache=self._cache,
            board=self._board,
            queue=self._queue,
            snapshots=Snapshots(self._cache, self._board, settings, self._clock.mono()),
            executor=Executor(self._api, self._cache, self._elector, written=books.written, blocked=self._blocked),
            events=self._events,
            fence=self._elector,
            clock=self._clock,
        )
        self._snapshots = context.snapshots
        self._sweeper = Sweeper(self._cache, context.snapshots, self._queue, self._clock)
        beads = BeadController(context)
        schedule = ScheduleController(context, beads)
        standing = StandingController(context, self._keys)
        self._workloads = WorkloadController(context)
        self._polecats = PolecatController(context)
        self._controllers = {
            "bead": beads.reconcile,
            "schedule": schedule.reconcile,
            "waiting": schedule.tell_waiting,
            "rig": standing.rig,
            "town": standing.town,
            "workload": self._workloads.reconcile,
            "proof": self._workloads.prove,
            "polecat": self._polecats.reconcile,
            "token": TokenController(context, self._keys).reconcile,
        }
        self._listed: asyncio.Queue[tuple[ResourceType, str | None]] = asyncio.Queue()
        """What kopf has read anew, so that its deletions since then are told; those before are looked for."""
        self._read = asyncio.Event()
        """Set when all objects have been read once."""
        self._unread = "the objects have not been read yet"
        self._leading = asyncio.Event()

    async def run(self, on_watching: Callable[[], None] = lambda: None) -> None:
        """Comes back after `stop`. `on_watching` is called when kopf has started, and has taken over the signals.

        Raises what ended it: LeaseLostError, or any defect.
        """
        async with self._api, self._lease_api:
            runner = await serve(self._settings.listen, self._unready, self._measurer.look)
            tasks: list[asyncio.Task[Any]] = []
            try:
                await self._run(tasks, on_watching)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._queue.close()
                await self._elector.release()
                await runner.cleanup()

    async def _run(self, tasks: list[asyncio.Task[Any]], on_watching: Callable[[], None]) -> None:
        kopf_ready, kopf_stop = asyncio.Event(), asyncio.Event()
        # At its end kopf cancels every task that was made after its start: so all of ours are made before.
        tasks += [
            _task("stop", self.stop.wait()),
            _task("lead", self._lead()),
            _task("gone", self._drop_gone()),
            _task("sweep", self._when_leading(self._sweep)),
            _task("resync", self._when_leading(self._resync)),
            *self._watch_workloads(),
            *(_task(f"events-{number}", self._events.run()) for number in range(POSTERS)),
            *(_task(f"worker-{number}", self._when_leading(self._work)) for number in range(self._settings.workers)),
        ]
        started = _task("started", _call_after(kopf_ready, on_watching))
        await self._first_read()
        kopf = watch_for_ever(
            self._intake,
            self._connection,
            kopf_ready,
            kopf_stop,
            lambda resource, namespace: self._listed.put_nowait((resource, namespace)),
            self._settings.watch_namespaces,
        )
        watch = _task("kopf", kopf)
        try:
            done, _ = await asyncio.wait([*tasks, watch], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if (error := task.exception()) is not None:
                    raise error
            if watch in done:
                raise RuntimeError("kopf has ended by itself")
        finally:
            for task in (started, *tasks):
                task.cancel()
            await self._elector.release()  # kopf takes its time to end; another operator need not wait for it
            kopf_stop.set()
            await asyncio.wait([watch], timeout=STOP_SECONDS)
            watch.cancel()

    def _watch_workloads(self) -> list[asyncio.Task[Any]]:
        if self._settings.town_workloads == "external":
            return []
        watch = WorkloadWatch(self._api, self._cache.workloads, self._settings.watch_namespaces)
        return [_task("workloads", watch.run())]

    async def _first_read(self) -> None:
        """Fills the cache before the watches begin: kopf reads its lists object by object."""
        failures = 0
        while not self.stop.is_set():
            try:
                await self._intake.read_all(self._api, self._settings.watch_namespaces)
                break
            except ApiError as error:
                self._unread = f"the objects can't be read: {error}"
                log.warning("%s", self._unread)
                await sleep_before_retry(error, failures)
                failures += 1
        self._read.set()
        gc.collect()
        gc.freeze()

    async def _drop_gone(self) -> None:
        """Finds deletions that kopf can't tell: between our first read and its lists, or while it was cut off."""
        while True:
            resource, namespace = await self._listed.get()
            failures = 0
            while True:
                try:
                    await self._intake.drop_gone(self._api, resource, namespace)
                    break
                except ApiError as error:
                    log.warning("what is gone of %s can't be read: %s", resource.plural, error)
                    await sleep_before_retry(error, failures)
                    failures += 1

    async def _lead(self) -> None:
        """Stands by until the Lease is ours, then has everything act, and renews it until it is lost."""
        await self._read.wait()
        await self._elector.acquire()
        keep = asyncio.ensure_future(self._elector.keep())
        try:
            await self._load_keys()
            metrics.LEADER.set(1)
            self._router.lead()
            self._leading.set()
            await keep
        finally:
            keep.cancel()

    async def _when_leading(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await self._leading.wait()
        await act()

    async def _work(self) -> None:
        await work(self._queue, self._controllers, self._clock)

    async def _load_keys(self) -> None:
        failures = 0
        while True:
            try:
                self._elector.check()
                await self._keys.load()
                return
            except ApiError as error:
                log.warning("signing key: %s", error)
                await sleep_before_retry(error, failures)
                failures += 1

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._sweeper.look()

    async def _resync(self) -> None:
        """Lists everything every few minutes, and looks at it anew."""
        while True:
            await asyncio.sleep(self._settings.resync_seconds)
            try:
                await self._intake.read_all(self._api, self._settings.watch_namespaces)
                await self._keys.load()
            except ApiError as error:
                log.warning("resync put off: %s", error)
                continue
            self._keys.publish_again()
            self._workloads.forget()
            self._polecats.forget_missing()
            self._cache.forget_pods(self._clock.mono() - 2 * self._snapshots.fence_seconds)
            self._board.blocked_names.clear()
            self._router.look_at_everything()

    def _blocked(self, namespace: str, name: str) -> None:
        self._board.blocked_names.add((namespace, name))

    def _unready(self) -> str | None:
        return None if self._read.is_set() else self._unread


def _task(name: str, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.create_task(coroutine, name=name)


async def _call_after(event: asyncio.Event, call: Callable[[], None]) -> None:
    await event.wait()
    call()
