"""Tries, at the pod's start, what an agent could reach."""

from __future__ import annotations

import os
from pathlib import Path

from polecat_town.domain.domain import agent_domain
from polecat_town.domain.landlock import Isolation, measure_isolation
from polecat_town.domain.network import Network
from polecat_town.settings import Settings

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_FOLDER = ".isolation"


async def try_isolation(settings: Settings, network: Network) -> Isolation:
    """What holds an agent of this pod, with this network."""
    rig_dir = settings.data_dir / _FOLDER / "rig"
    scratch = rig_dir / "self"
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    domain = agent_domain(rig_dir, scratch.name).at_work(network)
    kubeconfigs = [Path(each) for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    secrets = [_ACCOUNT, *kubeconfigs, settings.data_dir / "locks", settings.data_dir / "rigs"]
    port = min(settings.refused_ports, default=0) if network.descriptors else 0
    return await measure_isolation(domain, scratch, secrets, port)
