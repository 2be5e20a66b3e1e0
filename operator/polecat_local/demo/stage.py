"""Everything the demo plays on: a data directory of its own, the sample repository, a model, a cluster."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from polecat_api.untrusted import condition, section, text
from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, RIG, SECRET
from polecat_local.cluster import ClusterSettings, LocalCluster
from polecat_local.control_plane import ControlPlaneOptions
from polecat_local.datadir import DataDir
from polecat_local.demo.model import MODEL, ScriptedModel
from polecat_local.demo.plays import Play, load_plays, script_of
from polecat_local.demo.repository import create_repository
from polecat_local.errors import DataDirInUseError, LocalError, NotReadyError
from polecat_local.paths import make_private
from polecat_local.progress import Progress

RIG_NAME = "pennybook"
CHECKS = ("python3 -m unittest -q",)
PACE_SECONDS = 1.9
"""How long the scripted model takes for an answer: eight or nine of them make some 20 s."""
HEARTBEAT_SECONDS = 1.5
"""Quicker than in earnest, so that the table shows what each agent does; five agents load nothing."""
DRAIN_SECONDS = 5.0
"""The work of an interrupted demo is thrown away: nothing has to be saved at length."""
SCRIPTED_LIMITS = {"attempts": 2, "runSeconds": 300}
"""A play that has not ended after this never will."""
SCRIPTED_SECONDS = 600.0
"""After this the demo tells what has arrived, and ends."""
RIG_SECONDS = 60.0
POLL_SECONDS = 0.1
_OWN = "demo"
_LOGS = "logs"
_KEY_SECRET = "pennybook-model"  # noqa: S105 - a name, no secret


@dataclass(frozen=True)
class RealModel:
    """An OpenAI-compatible endpoint that thinks."""

    endpoint: str
    name: str
    api_key: str | None = None

    def __repr__(self) -> str:
        return f"RealModel({self.endpoint!r}, {self.name!r})"


class Keep(Enum):
    """What is left of a data directory at the end."""

    NOTHING = "nothing"
    LOGS = "logs"
    """The logs and the sample repository: something went wrong, and somebody will ask why."""
    ALL = "all"


class Stage:
    """`start`, use, `stop`. `stop` may be called at any moment."""

    def __init__(self, data_dir: Path, cluster: LocalCluster, real_model: RealModel | None) -> None:
        self.data_dir = data_dir
        self.cluster = cluster
        self.plays = load_plays()
        self.repository = data_dir / _OWN / "sample.git"
        self._real = real_model
        self._scripted = ScriptedModel(script_of(self.plays), pace_seconds=PACE_SECONDS)

    @classmethod
    async def prepare(
        cls,
        data_dir: Path,
        real_model: RealModel | None,
        progress: Progress,
        say: Callable[[str], None],
        kilo_path: Path | None = None,
    ) -> Stage:
        """Gets all programs, downloading or building them if need be; nothing is started yet."""
        settings = ClusterSettings(
            data_dir=data_dir,
            kilo_path=kilo_path,
            town_env={"POLECAT_TOWN_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS)},
            drain_seconds=DRAIN_SECONDS,
            run_dashboard=True,
            # A demo is not meant to survive a power cut.
            control_plane=ControlPlaneOptions(unsafe_no_fsync=True),
        )
        return cls(data_dir, await LocalCluster.prepare(settings, progress, say), real_model)

    @property
    def namespace(self) -> str:
        """Where rig and beads are."""
        return self.cluster.town_identity.namespace

    @property
    def streams(self) -> Path:
        """The town's journals: `<bead UID>/<attempt>.jsonl`."""
        return self.cluster.data.town / "streams"

    @property
    def logs(self) -> Path:
        """Directory of the logs of all processes."""
        return self.data_dir / _LOGS

    async def start(self) -> None:
        """Everything up to a rig that is ready for beads. Raises LocalError; call `stop` in any case."""
        make_private(self.data_dir / _OWN, "demo")
        await create_repository(self.repository)
        if self._real is None:
            await self._scripted.start()
        await self.cluster.start()
        await self.cluster.wait_ready()
        async with self.cluster.api() as api:
            await self._apply_rig(api)
            await self._wait_for_rig(api)

    async def stop(self, hurry: asyncio.Event | None, keep: Keep) -> None:
        """Ends all processes, then removes of the data directory what is not to be kept."""
        try:
            await self.cluster.stop(hurry)
        finally:
            await self._scripted.stop()
            await asyncio.to_thread(clear, self.data_dir, keep)

    @property
    def deadline_seconds(self) -> float | None:
        """How long the beads may take; a model that thinks takes the time it needs."""
        return SCRIPTED_SECONDS if self._real is None else None

    async def apply_beads(self, api: KubeApi) -> dict[str, datetime]:
        """Applies all beads at once; gives by name when the API server had answered."""
        limits = SCRIPTED_LIMITS if self._real is None else None

        async def apply(play: Play) -> tuple[str, datetime]:
            await api.create(BEAD, self.namespace, play.bead(RIG_NAME, limits))
            return play.name, datetime.now(UTC)

        return dict(await asyncio.gather(*(apply(play) for play in self.plays)))

    async def _apply_rig(self, api: KubeApi) -> None:
        real = self._real or RealModel(self._scripted.url, MODEL)
        model: dict[str, Any] = {"provider": "openai-compatible", "name": real.name, "endpoint": real.endpoint}
        if real.api_key:
            secret = {"metadata": {"name": _KEY_SECRET}, "stringData": {"apiKey": real.api_key}}
            await api.create(SECRET, self.namespace, secret)
            model["apiKeySecretRef"] = {"name": _KEY_SECRET}
        spec = {
            "townRef": {"name": self.cluster.town_identity.name},
            "repository": {"url": self.repository.absolute().as_uri()},
            "polecats": {"max": len(self.plays)},
            "checks": list(CHECKS),
            "model": model,
        }
        await api.create(RIG, self.namespace, {"metadata": {"name": RIG_NAME}, "spec": spec})

    async def _wait_for_rig(self, api: KubeApi) -> None:
        said = "nobody has looked at it yet"
        try:
            async with asyncio.timeout(RIG_SECONDS):
                while True:
                    rig = await api.get(RIG, self.namespace, RIG_NAME) or {}
                    ready = condition(section(rig, "status"), "Ready")
                    if text(ready, "status") == "True":
                        return
                    said = text(ready, "message") or text(ready, "reason") or said
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise NotReadyError(f"rig {RIG_NAME} is not ready after {RIG_SECONDS:g} s: {said}") from None


def clear(data_dir: Path, keep: Keep) -> None:
    """Removes a data directory, or what is not to be kept of it; what can't be removed stays."""
    if keep is Keep.NOTHING:
        shutil.rmtree(data_dir, ignore_errors=True)
    elif keep is Keep.LOGS:
        for path in data_dir.iterdir():
            if path.is_dir() and path.name not in (_LOGS, _OWN):
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_file():
                path.unlink(missing_ok=True)


def make_data_dir(wanted: Path | None) -> Path:
    """A fresh data directory: a temporary one, or `wanted`, emptied if an earlier demo has left it.

    Raises DataDirInUseError when one runs there, LocalError when there is something else in it.
    """
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="polecat-demo-"))
    path = wanted.absolute()
    if (runner := DataDir(path).runner()) is not None:
        raise DataDirInUseError(
            f"the data directory {path} is in use by process {runner.pid}: "
            f"end it with `polecat down --data-dir {path}`, or give another one"
        )
    if (path / _OWN).is_dir():
        shutil.rmtree(path, ignore_errors=True)
    if path.exists() and any(path.iterdir()):
        raise LocalError(f"{path} holds something that is not the demo's: give an empty or a new directory")
    return make_private(path, "data")
