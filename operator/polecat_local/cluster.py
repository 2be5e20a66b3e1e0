"""A whole Polecat on one machine: control plane, operators and one town, wired together in this one place."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from polecat_kube.api import KubeApi
from polecat_kube.connection import Connection
from polecat_kube.resources import TOWN
from polecat_local import install
from polecat_local.binaries import Binaries
from polecat_local.cache import Cache
from polecat_local.control_plane import ControlPlane, ControlPlaneOptions
from polecat_local.dashboard import dashboard_url
from polecat_local.datadir import DataDir, kill_strays
from polecat_local.environment import scrubbed
from polecat_local.errors import NotReadyError
from polecat_local.kilo import kilo_binary
from polecat_local.kubeconfig import write_kubeconfig
from polecat_local.paths import make_private
from polecat_local.ports import HOST, choose_port
from polecat_local.process import Child
from polecat_local.progress import Progress
from polecat_local.providers import control_plane_binaries
from polecat_local.readiness import why_not_ready
from polecat_local.supervise import Supervised

DEFAULT_TOWN = "main"
DEFAULT_NAMESPACE = "default"
OPERATOR_STOP_SECONDS = 10.0
READY_SECONDS = 60.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class ClusterSettings:
    """What may differ between `polecat up`, the demo, a bench and a test."""

    data_dir: Path
    kilo_path: Path | None = None
    """The agent program; None means the pinned Kilo CLI, installed first if need be."""
    slots: int = 5
    """Polecats that the default Town may run at once; has no effect on a Town that exists."""
    operators: int = 1
    """Operators that run side by side; the Lease lets one act, and the others follow it when it ends."""
    run_operator: bool = True
    run_town: bool = True
    run_dashboard: bool = False
    operator_env: Mapping[str, str] = field(default_factory=dict)
    """Added to each operator's environment."""
    town_env: Mapping[str, str] = field(default_factory=dict)
    """Added to the town's environment."""
    drain_seconds: float = 60.0
    """How long the town may take to save its agents' work at the end."""
    control_plane: ControlPlaneOptions = field(default_factory=ControlPlaneOptions)


@dataclass(frozen=True)
class TownIdentity:
    """The Town that this machine's one town process serves."""

    namespace: str
    name: str

    @property
    def pod(self) -> str:
        """Name of its one pod, as a StatefulSet would name it."""
        return f"{self.name}-0"


def operator_name(number: int) -> str:
    """The user's word for an operator, and the name of its log; they are counted from 1."""
    return "operator" if number == 1 else f"operator-{number}"


def choose_town(towns: list[TownIdentity]) -> TownIdentity:
    """The default Town if it or none exists, else the first of those there are."""
    default = TownIdentity(DEFAULT_NAMESPACE, DEFAULT_TOWN)
    if not towns or default in towns:
        return default
    return min(towns, key=lambda town: (town.namespace, town.name))


class LocalCluster:
    """Starts, watches over and ends all parts; operator and town run as service accounts, never as admin.

    `operators` (`operator` is the first of them) and `town` are Supervised: `kill`, `stop` and `start` them at
    will. All methods belong to one event loop; the processes die with the thread that called `start`.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        binaries: Binaries,
        kilo_path: Path,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.settings = settings
        self.data = DataDir(settings.data_dir)
        self.control_plane = ControlPlane(self.data.path, binaries, settings.control_plane, say)
        self.operators = [
            Supervised(name, partial(self._launch_operator, name), say)
            for name in map(operator_name, range(1, settings.operators + 1))
        ]
        self.operator = self.operators[0]
        self.town = Supervised("town", self._launch_town, say)
        self.dashboard = Supervised("dashboard", self._launch_dashboard, say)
        self.town_identity = TownIdentity(DEFAULT_NAMESPACE, DEFAULT_TOWN)
        self._kilo_path = kilo_path
        self._say = say
        self._claimed = False
        self._started = datetime.now(UTC)

    @classmethod
    async def prepare(
        cls,
        settings: ClusterSettings,
        progress: Progress | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> "LocalCluster":
        """Gets the programs (download, build) and gives a cluster that is not started yet."""
        progress, cache = progress or Progress(), Cache()
        binaries = await control_plane_binaries(cache, progress)
        kilo = settings.kilo_path or await kilo_binary(cache, progress)
        return cls(settings, binaries, kilo, say)

    @property
    def kubeconfig(self) -> Path:
        """The user's kubeconfig file (administrator)."""
        return self.data.kubeconfig

    @property
    def connection(self) -> Connection:
        """The administrator's connection; only after `start`."""
        return self.control_plane.connection

    def identity(self, operator: str) -> str:
        """What the Lease calls the operator of this name while it leads."""
        return f"{operator}_{self.data.pod_uid()}"

    def api(self) -> KubeApi:
        """A client as administrator, not opened yet."""
        return KubeApi(self.connection, manager=install.FIELD_MANAGER)

    async def start(self) -> None:
        """Starts everything; what was started is ended again if a part can't be.

        Raises LocalError: directory in use, disk full, a process that ends, not ready in time. The town may
        not take work yet: see `wait_ready`.
        """
        new = self.data.is_new()
        self.data.claim()
        self._claimed = True
        try:
            await self._start_control_plane(new)
            self._say(f"control plane ready at {self.connection.server}")
            self.town_identity = await self._ensure_town()
            await self._grant_access()
            if self.settings.run_operator:
                for operator in self.operators:
                    await operator.start()
                    self._say(f"{operator.name} started")
            if self.settings.run_town:
                self._started = datetime.now(UTC)
                await self.town.start()
                self._say(f"town {self.town_identity.name} started")
            if self.settings.run_dashboard:
                await self.dashboard.start()
                self._say(f"dashboard started at {dashboard_url(self.data)}")
        except BaseException:
            await self.stop()
            raise

    async def wait_ready(self, seconds: float | None = READY_SECONDS) -> None:
        """Until the Town says that it is ready; raises NotReadyError with its own words after `seconds`.

        None waits for ever.
        """
        town = self.town_identity
        why: str | None = None
        try:
            async with asyncio.timeout(seconds), self.api() as api:
                while True:
                    seen = await api.get(TOWN, town.namespace, town.name)
                    with_operator = self.settings.run_operator
                    why = why_not_ready(seen, town.pod, self._started, with_operator=with_operator)
                    if why is None:
                        return
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise NotReadyError(f"town {town.name} is not ready after {seconds:g} s: {why}") from None

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """Ends the town (it saves its agents' work first), the operators, then the control plane.

        `hurry`, once set, cuts the town's grace short.
        """
        if not self._claimed:
            return
        try:
            await self.town.stop(self.settings.drain_seconds, hurry)
            if strays := await asyncio.to_thread(kill_strays, self.data.town):
                self._say(f"ended {len(strays)} processes that agents had left behind")
            others = [*self.operators, self.dashboard]
            await asyncio.gather(*(each.stop(OPERATOR_STOP_SECONDS, hurry) for each in others))
        finally:
            await self.control_plane.stop()
            self.data.release()
            self._claimed = False

    async def _start_control_plane(self, new: bool) -> None:
        try:
            await self.control_plane.start(install.shipped_manifests())
        except BaseException:
            if new:
                self.data.clear()
            raise

    async def _ensure_town(self) -> TownIdentity:
        async with self.api() as api:
            items, _ = await api.list(TOWN)
            there = [TownIdentity(t["metadata"]["namespace"], t["metadata"]["name"]) for t in items]
            town = choose_town(there)
            if town not in there:
                spec = {"replicas": 1, "slots": self.settings.slots}
                await api.create(TOWN, town.namespace, {"metadata": {"name": town.name}, "spec": spec})
        return town

    async def _grant_access(self) -> None:
        plane, namespace = self.control_plane, self.town_identity.namespace
        scratch = self.data.path / "town-access.yaml"
        await install.grant_town(plane.kubectl, plane.kubeconfig, namespace, scratch)
        await install.grant_user(plane.kubectl, plane.kubeconfig, self.data.path / "user-access.yaml")
        accounts = {
            "operator": (install.SYSTEM_NAMESPACE, install.OPERATOR_ACCOUNT),
            "town": (namespace, install.TOWN_ACCOUNT),
            "dashboard": (install.SYSTEM_NAMESPACE, install.DASHBOARD_ACCOUNT),
        }
        tokens = await asyncio.gather(
            *(
                install.service_account_token(plane.kubectl, plane.kubeconfig, where, account)
                for where, account in accounts.values()
            )
        )
        for (part, (where, account)), token in zip(accounts.items(), tokens, strict=True):
            connection = Connection(self.connection.server, where, self.connection.ca, token=token)
            write_kubeconfig(self._kubeconfig_of(part), connection, account)

    def _kubeconfig_of(self, part: str) -> Path:
        return self.data.path / f"{part}.kubeconfig"

    async def _launch_operator(self, name: str) -> Child:
        env = {
            "POLECAT_OPERATOR_NAMESPACE": install.SYSTEM_NAMESPACE,
            "POLECAT_OPERATOR_TOWN_WORKLOADS": "external",
            # The same in each life: only one of this name runs on this directory, and the last one is known to
            # be dead, so that it need not wait for its own Lease to run out.
            "POLECAT_OPERATOR_IDENTITY": self.identity(name),
            **self.settings.operator_env,
        }
        return await self._launch(name, "polecat_operator", self._kubeconfig_of("operator"), env)

    async def _launch_town(self) -> Child:
        town = self.town_identity
        env = {
            "POLECAT_TOWN_NAME": town.name,
            "POLECAT_TOWN_NAMESPACE": town.namespace,
            "POLECAT_TOWN_POD_NAME": town.pod,
            "POLECAT_TOWN_POD_UID": self.data.pod_uid(),
            "POLECAT_TOWN_DATA_DIR": str(make_private(self.data.town, "town's")),
            "POLECAT_TOWN_KILO_PATH": str(self._kilo_path),
            # A town that was killed waits until its last life's Lease has run out, four times as long;
            # the API server next door bears the more frequent renewals.
            "POLECAT_TOWN_LEASE_SECONDS": "2.5",
            **self.settings.town_env,
        }
        return await self._launch("town", "polecat_town", self._kubeconfig_of("town"), env)

    async def _launch_dashboard(self) -> Child:
        env = {
            "POLECAT_DASHBOARD_LISTEN": f"{HOST}:{choose_port(self.data.dashboard_port)}",
            # Relative to its working directory: the path of a Unix socket must be short.
            "POLECAT_DASHBOARD_LINK_SOCKET": self.data.dashboard_socket.name,
            "POLECAT_DASHBOARD_SESSIONS_FILE": str(self.data.dashboard_sessions),
        }
        return await self._launch("dashboard", "polecat_dashboard", self._kubeconfig_of("dashboard"), env)

    async def _launch(self, name: str, module: str, kubeconfig: Path, env: Mapping[str, str]) -> Child:
        command = [sys.executable, "-P", "-m", module]
        full = {**scrubbed(os.environ), "KUBECONFIG": str(kubeconfig), **env}
        return await Child.start(name, command, self.data.logs, full, cwd=self.data.path)
