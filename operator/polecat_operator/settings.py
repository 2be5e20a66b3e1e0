"""Settings of the operator, read once from environment variables with the prefix POLECAT_OPERATOR_."""

from __future__ import annotations

import os
import socket
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from polecat_api.protocol import FENCE_MARGIN_SECONDS, FENCING_SECONDS


def default_identity() -> str:
    """Host name and process id: different for every operator that may run at the same time."""
    return f"{socket.gethostname()}_{os.getpid()}"


class Settings(BaseSettings):
    """How this operator runs."""

    model_config = SettingsConfigDict(env_prefix="POLECAT_OPERATOR_", frozen=True)

    namespace: str = Field("polecat-system", description="Namespace of the Lease and of the signing key.")
    identity: str = Field(
        default_factory=default_identity, description="Name of this operator in the Lease (host name, pid)."
    )
    listen: str = Field(
        "127.0.0.1:0", description="Address and port of /healthz, /readyz and /metrics; port 0 is any free one."
    )
    watch_namespaces: tuple[str, ...] = Field(
        (), description="Namespaces to look after, as a JSON list; all of the cluster when empty."
    )
    town_workloads: Literal["managed", "external"] = Field(
        "managed", description="Who makes the town pods: the operator (managed), or somebody else (external)."
    )
    town_image: str = Field("polecat:latest", description="Container image of towns that name none.")
    resync_seconds: float = Field(300.0, gt=0, description="How often everything is listed again, in seconds.")
    fencing_seconds: float = Field(
        FENCING_SECONDS, gt=0, description="A pod silent for so long, in seconds, has stopped its agents itself."
    )
    fence_margin_seconds: float = Field(
        FENCE_MARGIN_SECONDS, ge=0, description="How much longer, in seconds, the operator waits before it acts on it."
    )
    claim_seconds: float = Field(
        120.0, gt=0, description="A polecat that no pod claims within so many seconds is given up."
    )
    lease_seconds: float = Field(15.0, gt=0, description="How long, in seconds, a Lease holds without renewal.")
    renew_seconds: float = Field(12.0, gt=0, description="A leader that can't renew for so many seconds stops acting.")
    retry_seconds: float = Field(2.0, gt=0, description="Pause between two tries at the Lease, in seconds.")
    key_rotation_seconds: float = Field(
        2592000.0, gt=0, description="Age of the signing key, in seconds, at which a new one is made."
    )
    workers: int = Field(16, ge=2, le=64, description="How many objects are worked on at once.")
    log_level: str = Field("INFO", description="Least level of log lines: DEBUG, INFO, WARNING or ERROR.")
