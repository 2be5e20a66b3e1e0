"""Settings of the supervisor: one object, read once from `POLECAT_TOWN_…`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from polecat_api import protocol
from polecat_town.egress.rules import PRIVATE, make_rules


class Settings(BaseSettings):
    """What one supervisor is told. Every field is the environment variable `POLECAT_TOWN_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix="POLECAT_TOWN_", frozen=True, use_attribute_docstrings=True, extra="ignore"
    )

    name: str = "main"
    """Name of the Town that this pod belongs to."""
    namespace: str = "default"
    """Namespace of that Town."""
    pod_name: str = "main-0"
    """Name of this pod; Polecats carry it in `spec.pod` and in a label."""
    pod_uid: str
    """UID of this pod: its life. A restart of the container keeps it, a new pod has another."""
    data_dir: Path
    """Directory of the volume: stores, worktrees, journals, state."""
    kilo_path: Path = Path("kilo")
    """The Kilo CLI: a path, or a name that is looked up in PATH."""
    listen: str = "127.0.0.1:0"
    """Address for health, metrics and streams; port 0 takes a free one, written to `<data_dir>/town-port`."""
    advertise_host: str = ""
    """Host under which others reach `listen`, such as the pod's IP; the host of `listen` when empty."""
    heartbeat_seconds: Annotated[float, Field(gt=0)] = protocol.HEARTBEAT_SECONDS
    """How often, in seconds, `heartbeatTime` and the pod's entry are reported, give or take a fifth."""
    fencing_seconds: Annotated[float, Field(gt=0)] = protocol.FENCING_SECONDS
    """After so many seconds without a renewed Lease all agents are stopped and saved."""
    lease_seconds: Annotated[float, Field(gt=0)] = 10
    """How often, in seconds, the pod's Lease is renewed."""
    drain_seconds: Annotated[float, Field(gt=0)] = 50
    """How long, in seconds, stopping and saving may take after SIGTERM; below the pod's grace period."""
    start_deadline_seconds: Annotated[float, Field(gt=0)] = 120
    """How long, in seconds, fetching, or the agent's process, may take to become ready."""
    nudges: Annotated[int, Field(ge=0)] = 3
    """How often an agent that stopped without calling `done` is asked to go on."""
    checkpoint_seconds: Annotated[float, Field(gt=0)] = 180
    """How often, in seconds, commits of an agent that makes progress are taken over into the store."""
    check_seconds: Annotated[float, Field(gt=0)] = 1800
    """How long, in seconds, one check or the set-up command of a rig may take."""
    done_wait_seconds: Annotated[float, Field(gt=0)] = 3000
    """How long, in seconds, the tool `done` waits for checks and push before it tells the agent to call again."""
    probe_seconds: Annotated[float, Field(gt=0)] = 300
    """How often, in seconds, a rig's repository is tried while all is well."""
    binary_check_seconds: Annotated[float, Field(gt=0)] = 30
    """How often, in seconds, a broken Kilo CLI is tried again."""
    reserve_mib: Annotated[int, Field(ge=0)] = 64
    """How much of the volume, in MiB, is kept free for saving work; with less, nothing new is begun."""
    volume_check_seconds: Annotated[float, Field(gt=0)] = 5
    """How often, in seconds, it is tried whether the volume can be written."""
    memory_check_seconds: Annotated[float, Field(gt=0)] = 3
    """How often, in seconds, the memory of each agent is measured."""
    agent_network: Literal["Proxy", "Open"] = "Proxy"
    """Proxy: agents reach the world's web through the supervisor only, which keeps them from what is inside of the
    cluster; Open: they reach whatever the pod reaches."""
    agent_refused_ports: str = "80,443,2379,2380,6443,10250,10255"
    """TCP ports that agents can't connect to themselves, with commas between; the API server's are always among
    them. Needs Linux 6.7."""
    egress_allow: str = ""
    """Hosts (`.example.com`: all below it) and address ranges that agents may reach through the proxy although they
    are inside, with commas between; those of HTTP registries that are passed on to agents are always among them."""
    egress_refuse: str = PRIVATE
    """Address ranges that count as inside. Loopback, link-local and metadata addresses are always refused."""
    terminate_seconds: Annotated[float, Field(ge=0)] = 5
    """Grace, in seconds, between SIGTERM and SIGKILL for an agent's processes."""
    model_retry_seconds: Annotated[float, Field(gt=0)] = 60
    """How long, in seconds, a model that is busy or away is asked again before the attempt has failed."""
    model_retries: Annotated[int, Field(ge=1)] = 5
    """How often in a row a model may answer with an error that may pass, before the attempt has failed."""
    stream_segment_bytes: Annotated[int, Field(ge=1024)] = 8 << 20
    """Size, in bytes, at which a journal goes on in another file; old files of long journals can be removed."""
    stream_stuck_seconds: Annotated[float, Field(gt=0)] = 30
    """How long, in seconds, a reader of a stream may take nothing before it is sent away."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.absolute()

    @field_validator("agent_refused_ports")
    @classmethod
    def _ports(cls, value: str) -> str:
        if not all(word.strip().isdigit() and 0 < int(word) < 1 << 16 for word in value.split(",") if word.strip()):
            raise ValueError("ports are numbers from 1 to 65535, with commas between")
        return value

    @field_validator("egress_allow", "egress_refuse")
    @classmethod
    def _ranges(cls, value: str, info: ValidationInfo) -> str:
        make_rules(*((value, "") if info.field_name == "egress_allow" else ("", value)))
        return value

    @property
    def refused_ports(self) -> frozenset[int]:
        """`agent_refused_ports` as numbers."""
        return frozenset(int(word) for word in self.agent_refused_ports.split(",") if word.strip())

    @property
    def reserve_bytes(self) -> int:
        """`reserve_mib` in bytes."""
        return self.reserve_mib << 20

    @property
    def ordinal(self) -> int:
        """Number of the pod in its StatefulSet; 0 for a pod without one."""
        tail = self.pod_name.rpartition("-")[2]
        return int(tail) if tail.isdigit() else 0

    @property
    def listen_host(self) -> str:
        """The host part of `listen`."""
        return self.listen.rpartition(":")[0].strip("[]") or "127.0.0.1"

    @property
    def listen_port(self) -> int:
        """The port part of `listen`; 0 for any free one."""
        return int(self.listen.rpartition(":")[2])

    def streams_url(self, port: int) -> str:
        """Where others read streams, when `listen` has this port."""
        host = self.advertise_host or self.listen_host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def rig_dir(self, rig: str) -> Path:
        """Where all of one rig lies: its store, and a directory for each name."""
        return self.data_dir / "rigs" / rig

    def state_file(self, polecat_uid: str) -> Path:
        """The supervisor's memory of one polecat."""
        return self.data_dir / "state" / f"{polecat_uid}.json"

    def lock_file(self, polecat_uid: str) -> Path:
        """Held while a supervisor runs one polecat."""
        return self.data_dir / "locks" / f"{polecat_uid}.lock"

    @property
    def streams_dir(self) -> Path:
        """The journals of all attempts."""
        return self.data_dir / "streams"

    def log_file(self, polecat_uid: str) -> Path:
        """What the agent's process prints."""
        return self.data_dir / "logs" / f"{polecat_uid}.log"
