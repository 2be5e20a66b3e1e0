"""etcd, kube-apiserver and kube-controller-manager as local processes under one data directory."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from polecat_kube.api import KubeApi
from polecat_kube.connection import Connection
from polecat_kube.errors import ApiError
from polecat_local import arguments
from polecat_local.binaries import Binaries, link_kubectl
from polecat_local.credentials import Credentials, ensure_credentials
from polecat_local.errors import NotReadyError
from polecat_local.install import apply_manifests
from polecat_local.kubeconfig import write_kubeconfig
from polecat_local.paths import make_private
from polecat_local.ports import HOST, Ports, choose_ports
from polecat_local.process import Child
from polecat_local.supervise import Supervised

READY_SECONDS = 60.0
"""How long etcd and the API server may take to become ready; they need about four."""
POLL_SECONDS = 0.05
_GARBAGE_COLLECTION = {"GOGC": "400", "GOMEMLIMIT": "700MiB"}
"""Go collects less often while the heap is small: two fifths less CPU in the API server for each write, at the price
of some 100 MiB of memory."""
STOP_SECONDS = 5.0
"""Grace of each process at the end; etcd has on disk what it has confirmed, so that nothing is lost."""


@dataclass(frozen=True)
class ControlPlaneOptions:
    """What may differ between a user's cluster and one of a test."""

    unsafe_no_fsync: bool = False
    """Lets etcd confirm writes before they are on disk: quicker, for tests only."""
    audit_log: bool = False
    """Writes who asked for what to `logs/audit.log`; for writes to our own kinds also what was sent and stored."""
    nodes_at: str | None = None
    """IPv4 address at which nodes and their pods reach the API server; None means loopback only, and no nodes."""


@dataclass(frozen=True)
class _Base:
    """What must be there before the first process starts."""

    ports: Ports
    credentials: Credentials


class ControlPlane:
    """A real API server with garbage collection, reachable on loopback only unless there are nodes.

    `start` and `stop` belong to one event loop; the processes die with the thread that called `start`.
    """

    def __init__(
        self,
        data_dir: Path,
        binaries: Binaries,
        options: ControlPlaneOptions | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.data_dir = data_dir
        self.binaries = binaries
        self._options = options or ControlPlaneOptions()
        self._say = say
        self._base: _Base | None = None
        self.etcd = Supervised("etcd", lambda: self._launch("etcd"), say)
        self.api_server = Supervised("kube-apiserver", lambda: self._launch("kube-apiserver"), say)
        self.controller_manager = Supervised(
            "kube-controller-manager", lambda: self._launch("kube-controller-manager"), say
        )

    @property
    def parts(self) -> tuple[Supervised, Supervised, Supervised]:
        """The three programs, in the order in which they end."""
        return self.controller_manager, self.api_server, self.etcd

    @property
    def _prepared(self) -> "_Base":
        if self._base is None:
            raise RuntimeError("the control plane has not been started")
        return self._base

    @property
    def connection(self) -> Connection:
        """As administrator; only after `start`."""
        base = self._prepared
        url = f"https://{HOST}:{base.ports.api}"
        return Connection(server=url, ca=base.credentials.ca_pem, token=base.credentials.admin_token)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig file."""
        return self.data_dir / "kubeconfig"

    @property
    def kubectl(self) -> Path:
        """A kubectl of the control plane's own version."""
        return self.data_dir / "bin" / "kubectl"

    async def start(self, manifests: Sequence[Path] = ()) -> None:
        """Starts everything, applies `manifests`, and comes back when the API server is ready.

        Raises ProcessFailedError if a process ends meanwhile, NotReadyError after READY_SECONDS, LocalError
        if the data directory cannot be used. Whatever was started is ended again then.
        """
        make_private(self.data_dir, "data")
        for name in ("etcd", "logs", "bin"):
            make_private(self.data_dir / name, "data")
        nodes_at = self._options.nodes_at
        credentials = ensure_credentials(self.data_dir, [nodes_at] if nodes_at else [])
        self._base = _Base(choose_ports(self.data_dir / "ports.json"), credentials)
        write_kubeconfig(self.kubeconfig, self.connection, "admin")
        link_kubectl(self.binaries.kubectl, self.data_dir / "bin")
        if self._options.audit_log:
            arguments.write_audit_policy(self.data_dir)
        try:
            await self.etcd.try_start()
            await self.api_server.try_start()
            await self.wait_ready(READY_SECONDS)
            self.etcd.keep()
            self.api_server.keep()
            # Before the controller-manager: its garbage collector looks for new kinds every 30 s only.
            await apply_manifests(self.kubectl, self.kubeconfig, self.connection, manifests)
            await self.controller_manager.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends all processes, also after a failed start; nothing happens for those that don't run."""
        for part in self.parts:
            await part.stop(STOP_SECONDS)

    async def wait_ready(self, seconds: float) -> None:
        """Until `/readyz` says ok, and a process that ends by itself is an error at once."""
        deaths = [
            asyncio.create_task(part.child.wait()) for part in (self.etcd, self.api_server) if part.child is not None
        ]
        probe = asyncio.create_task(self._until_ready())
        try:
            done, _ = await asyncio.wait([probe, *deaths], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for part in (self.etcd, self.api_server):
                if part.child is not None and part.child.exit_code is not None:
                    raise part.child.failure()
            if not done:
                tail = self.api_server.child.log_tail() if self.api_server.child else ""
                raise NotReadyError(f"the API server was not ready after {seconds:g} s:\n{tail}")
        finally:
            for task in (probe, *deaths):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _until_ready(self) -> None:
        async with KubeApi(self.connection, timeout_seconds=2.0) as api:
            while True:
                with suppress(ApiError, aiohttp.ClientError, OSError):
                    await api.raw("/readyz")
                    return
                await asyncio.sleep(POLL_SECONDS)

    async def _launch(self, program: str) -> Child:
        base = self._prepared
        binary = {
            "etcd": self.binaries.etcd,
            "kube-apiserver": self.binaries.kube_apiserver,
            "kube-controller-manager": self.binaries.kube_controller_manager,
        }[program]
        command = arguments.command_line(
            program,
            data_dir=self.data_dir,
            ports=base.ports,
            credentials=base.credentials,
            unsafe_no_fsync=self._options.unsafe_no_fsync,
            audit_log=self._options.audit_log,
            nodes_at=self._options.nodes_at,
        )
        # PATH and HOME are not needed; what users have set for Go or etcd must not change anything.
        env = {"HOME": str(self.data_dir), "PATH": "", **_GARBAGE_COLLECTION}
        return await Child.start(program, [str(binary), *command], self.data_dir / "logs", env)
