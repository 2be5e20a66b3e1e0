"""Where a node has its things, what it is told, and the addresses it uses."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

UPLINK = "uplink"
"""The node's end of the link to the machine it runs on."""
NODE_NAME = "localhost"
"""The API server reaches the kubelet under its node's name."""
POD_CIDR = "10.244.0.0/16"
"""Seen in the node's own network only, like the services' addresses."""
POD_GATEWAY = "10.244.0.1/16"
BRIDGE = "pods0"
SMALL_VOLUME_MIB = 400


@dataclass(frozen=True)
class NodePlan:
    """One node in one directory. Everything in it is made by the node and removed with it."""

    home: Path
    kubernetes: Path
    """Directory of kubelet, kube-proxy and kube-scheduler."""
    containerd: Path
    """Directory of containerd, its shim, ctr and pause."""
    runc: Path
    plugins: Path
    """Directory of the CNI plugins."""
    path: str
    """Directory of iptables."""
    cgroup: str
    """Name of the parent cgroup."""
    machine_address: str
    """What pods reach this machine at."""
    node_address: str
    """What this machine reaches the API server at."""

    def save(self) -> Path:
        """Writes it for the process that holds the node."""
        file = self.home / "plan.json"
        file.write_text(json.dumps({key: str(value) for key, value in asdict(self).items()}))
        return file

    @classmethod
    def load(cls, file: Path) -> Self:
        """What `save` has written."""
        fields = json.loads(file.read_text())
        for name in ("home", "kubernetes", "containerd", "runc", "plugins"):
            fields[name] = Path(fields[name])
        return cls(**fields)

    @property
    def plane(self) -> Path:
        """Data directory of the control plane."""
        return self.home / "plane"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, for use from this machine."""
        return self.home / "kubeconfig"

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.home / "containerd.sock"

    @property
    def ready(self) -> Path:
        """There when the node's programs run."""
        return self.home / "ready"

    @property
    def volumes(self) -> Path:
        """Directories of the PersistentVolumes."""
        return self.home / "volumes"

    @property
    def small_volume(self) -> Path:
        """A volume of `SMALL_VOLUME_MIB`, for who fills it."""
        return self.volumes / "small"
