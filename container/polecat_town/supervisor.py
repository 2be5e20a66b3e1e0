"""Which polecats this pod has in hand: claims, resumes, ends them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from polecat_api.polecat import Polecat
from polecat_kube.errors import ApiError
from polecat_town import metrics
from polecat_town.adoption import first_state, stand_in, without_status
from polecat_town.claims import claim
from polecat_town.endpoint.tokens import AgentIdentity
from polecat_town.finalizer import drop_finalizer
from polecat_town.life.actions import ACTIONS
from polecat_town.life.caller import LifeCaller
from polecat_town.life.life import Life
from polecat_town.life.services import Services
from polecat_town.life.state import LifeState, Step, load_state, save_state
from polecat_town.lock import HeldElsewhereError, PolecatLock

log = logging.getLogger(__name__)
Json = dict[str, Any]
_AGAIN_SECONDS = 2.0
_POLL_SECONDS = 0.05
_CALM_SECONDS = 1.0
_AFTER_DEFECT_SECONDS = 5.0


class Supervisor:
    """One life for each Polecat of this pod, and never two for one."""

    def __init__(
        self, services: Services, may_run: Callable[[], Awaitable[None]], on_change: Callable[[], None]
    ) -> None:
        """`may_run` comes back while the pod holds its Lease; nothing is claimed or resumed without it.

        `on_change` is called when a slot has been taken or has become free.
        """
        self._services = services
        self._may_run = may_run
        self._on_change = on_change
        self._lives: dict[str, Life] = {}
        self._callers: dict[str, LifeCaller] = {}
        self._locks: dict[str, PolecatLock] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._known: dict[str, Polecat] = {}
        """Polecats of this pod as last seen, by UID."""
        self._freed = asyncio.Event()
        self._claiming = 0
        self._calm = asyncio.Event()
        """Set while no claim is under way."""
        self._calm.set()
        self._slots: int | None = None

    # -- what others ask -------------------------------------------------------------------------------------

    @property
    def lives(self) -> Iterable[Life]:
        """All lives of now."""
        return list(self._lives.values())

    @property
    def slots_used(self) -> int:
        """Polecats that this pod has in hand."""
        return len(self._tasks)

    @property
    def agents(self) -> int:
        """How many agents there are, running or just ended."""
        return sum(life.agent is not None for life in self._lives.values())

    def set_slots(self, slots: int | None) -> None:
        """How many polecats the Town allows; None while it is not known."""
        self._slots = slots
        metrics.SLOTS.set(slots or 0)
        self._freed.set()

    def look_again(self) -> None:
        """There may be room for who waits."""
        self._freed.set()

    def is_current(self, identity: AgentIdentity) -> bool:
        """Whether a token's polecat runs here now."""
        life = self._lives.get(identity.polecat_uid)
        return (
            life is not None
            and life.state.end is None
            and (life.identity.bead_uid, life.identity.attempt) == (identity.bead_uid, identity.attempt)
        )

    def find(self, identity: AgentIdentity) -> LifeCaller | None:
        """The life that a token speaks for."""
        return self._callers.get(identity.polecat_uid)

    def name_is_free(self, rig: str, name: str, uid: str) -> bool:
        """Whether no other polecat of this pod has the directory of a name."""
        return not any(
            (life.identity.rig, life.identity.name) == (rig, name) and life.identity.uid != uid
            for life in self._lives.values()
        )

    # -- what the watch shows --------------------------------------------------------------------------------

    def observe(self, old: Json | None, new: Json | None) -> None:
        """Takes in a change of a Polecat of this pod."""
        if old is not None and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            self._vanished(old["metadata"]["uid"])
        if new is None:
            return
        try:
            polecat = Polecat.model_validate(new)
        except ValidationError as error:
            log.error("polecat %s can't be read: %s", new["metadata"]["name"], error.errors()[0]["msg"])
            polecat = without_status(new)
        uid = polecat.metadata.uid
        self._known[uid] = polecat
        if (life := self._lives.get(uid)) is not None:
            life.observe(polecat)
        elif uid not in self._tasks:
            self._tasks[uid] = asyncio.create_task(self._guard(uid), name=polecat.metadata.name)

    def _vanished(self, uid: str) -> None:
        self._known.pop(uid, None)
        if (life := self._lives.get(uid)) is not None:
            life.observe(None)
        if uid not in self._tasks:
            # It was let go, or taken by another, before we heard that it is gone.
            self._remove_lock(self._services.settings.lock_file(uid))
        self._freed.set()

    def adopt_orphans(self) -> None:
        """State of polecats that do not exist any more: their work is saved and their directories removed.

        Only when the first list of Polecats has been read.
        """
        for path in sorted((self._services.settings.data_dir / "state").glob("*.json")):
            state = load_state(path)
            if state is None:
                log.error("the state file %s can't be read and is set aside", path)
                path.replace(path.with_suffix(".unreadable"))
                continue
            uid = state.identity.uid
            if uid not in self._known and uid not in self._tasks:
                log.info("saving what is left of a polecat that is gone", extra=state.identity.log_fields)
                self._tasks[uid] = asyncio.create_task(self._guard(uid, state), name=state.identity.object_name)
        self._remove_locks()

    def _remove_locks(self) -> None:
        """Lock files that a kill has left as the last trace of their polecats."""
        for path in (self._services.settings.data_dir / "locks").glob("*.lock"):
            if path.stem not in self._known and path.stem not in self._tasks:
                self._remove_lock(path)

    @staticmethod
    def _remove_lock(path: Path) -> None:
        if not path.exists():
            return
        lock = PolecatLock(path)
        with contextlib.suppress(HeldElsewhereError, OSError):
            lock.acquire()
            lock.release(remove=True)

    # -- one polecat from claim to end -----------------------------------------------------------------------

    async def _guard(self, uid: str, orphan: LifeState | None = None) -> None:
        """Runs one polecat, and lets go of everything when that is over, however it ended."""
        lock = PolecatLock(self._services.settings.lock_file(uid))
        finished = False
        try:
            await self._may_run()
            await self._take_lock(lock, uid, orphan)
            while True:
                try:
                    await self._may_run()
                    finished = await (self._run_orphan(orphan) if orphan else self._run(uid))
                    break
                except Exception:
                    # A defect; the state on disk is that of the last step that was complete.
                    log.exception("life of %s failed", uid)
                self._forget(uid)
                await asyncio.sleep(_AFTER_DEFECT_SECONDS)
        finally:
            self._forget(uid)
            self._tasks.pop(uid, None)
            lock.release(remove=finished)
            metrics.POLECATS.set(len(self._lives))
            self._freed.set()
            self._on_change()

    def _forget(self, uid: str) -> None:
        self._lives.pop(uid, None)
        self._callers.pop(uid, None)

    async def _take_lock(self, lock: PolecatLock, uid: str, orphan: LifeState | None) -> None:
        while orphan or uid in self._known:
            try:
                lock.acquire()
                return
            except HeldElsewhereError as error:
                metrics.REFUSED_CLAIMS.labels("locked").inc()
                log.warning("not claimed: %s", error)
            except OSError as error:
                log.warning("not claimed, the lock can't be made: %s", error)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _run(self, uid: str) -> bool:
        """True if nothing is left of the polecat."""
        polecat = self._known.get(uid)
        if polecat is None:
            return True
        settings = self._services.settings
        given = polecat.status.claim
        fresh = given is None
        if given is None:
            polecat = await self._claim(uid)
            if polecat is None:
                return uid not in self._known
            given = polecat.status.claim
        if given is None or given.pod != settings.pod_name:
            log.error("polecat %s carries our label but is claimed by another pod", polecat.metadata.name)
            return False
        path = settings.state_file(uid)
        state = load_state(path)
        if state is None:
            state = first_state(polecat)
            save_state(path, state, durable=False)
        foreign = given.pod_uid != settings.pod_uid
        return await self._live(polecat, state.resumed(), foreign=foreign, fresh=fresh)

    async def _claim(self, uid: str) -> Polecat | None:
        """The claimed polecat; None if it is not to be had any more."""
        settings = self._services.settings
        while True:
            await self._may_run()
            self._freed.clear()
            polecat = self._known.get(uid)
            if polecat is None or self._services.pod.draining:
                return None
            if polecat.metadata.deletion_timestamp is not None:
                await self._let_go(polecat)
                return None
            spec = polecat.spec
            pod = self._services.pod
            able = self._has_slot() and pod.has_room and pod.volume.ok
            if able and self.name_is_free(spec.rig_ref.name, spec.name, uid):
                break
            metrics.REFUSED_CLAIMS.labels("full").inc()
            try:
                async with asyncio.timeout(_AGAIN_SECONDS):
                    await self._freed.wait()
            except TimeoutError:
                continue
        self._claiming += 1
        self._calm.clear()
        try:
            claimed = await claim(self._services.api, polecat, settings.pod_name, settings.pod_uid)
        finally:
            self._claiming -= 1
            if self._claiming == 0:
                self._calm.set()
        if claimed is None:
            metrics.REFUSED_CLAIMS.labels("taken").inc()
            return None
        metrics.CLAIMS.inc()
        return claimed

    async def _let_go(self, polecat: Polecat) -> None:
        """Deleted before anybody claimed it: there is nothing to save."""
        try:
            await drop_finalizer(self._services.api, polecat, unclaimed=True)
        except ApiError as error:
            # Not claimed, so that the operator takes it off after a while.
            log.warning("finalizer of %s not removed: %s", polecat.metadata.name, error)

    def _has_slot(self) -> bool:
        return self._slots is None or len(self._lives) < self._slots

    async def _live(
        self, polecat: Polecat, state: LifeState, *, foreign: bool, fresh: bool = False, gone: bool = False
    ) -> bool:
        uid = state.identity.uid
        life = Life(self._services, polecat, state, ACTIONS, foreign=foreign, fresh=fresh)
        self._lives[uid] = life
        self._callers[uid] = LifeCaller(life)
        metrics.POLECATS.set(len(self._lives))
        self._on_change()
        if gone:
            life.observe(None)
        elif (latest := self._known.get(uid)) is not None and latest.metadata.deletion_timestamp is not None:
            life.observe(latest)
        # Claims of the same moment come first: they are quick, and others wait for their answers.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CALM_SECONDS):
                await self._calm.wait()
        await life.run()
        return True

    async def _run_orphan(self, state: LifeState) -> bool:
        return await self._live(stand_in(state), state.resumed(), foreign=True, gone=True)

    # -- end of the pod --------------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Comes back when every life has made its work safe and said so."""
        while any(not _is_safe(life) for life in self._lives.values()):  # noqa: ASYNC110 - many of them
            await asyncio.sleep(_POLL_SECONDS)

    async def empty(self) -> None:
        """Comes back when no life is left."""
        while self._lives:
            self._freed.clear()
            await self._freed.wait()

    async def stop(self) -> None:
        """Lets go of all lives as they are; the next start goes on with them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_safe(life: Life) -> bool:
    return life.state.reported or life.state.step is Step.REMOVED
