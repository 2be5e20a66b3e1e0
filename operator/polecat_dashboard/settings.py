"""Settings of the dashboard, read once from environment variables with the prefix POLECAT_DASHBOARD_."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How this dashboard runs."""

    model_config = SettingsConfigDict(env_prefix="POLECAT_DASHBOARD_", frozen=True)

    listen: str = Field("127.0.0.1:8484", description="Address and port of the pages.")
    operations_listen: str = Field(
        "127.0.0.1:0", description="Address and port of /healthz, /readyz and /metrics; port 0 is any free one."
    )
    public_urls: tuple[str, ...] = Field(
        (),
        description="What people type to get here, as a JSON list such as "
        '["https://polecat.example"]; requests for other hosts or from other origins are refused. '
        "Loopback names with the port of `listen` are always among them when that is a loopback address.",
    )
    link_socket: Path | None = Field(
        None, description="Unix socket at which `polecat dashboard` gets one-time links; none when unset."
    )
    idle_seconds: float = Field(28800.0, gt=0, description="A session that is not used for so long, in seconds, ends.")
    session_seconds: float = Field(86400.0, gt=0, description="A session ends after so many seconds in any case.")
    sessions_file: Path | None = Field(
        None,
        description="File in which sessions outlive a restart; they end with the process when unset. "
        "It holds tokens encrypted with keys that only the browsers' cookies give.",
    )
    link_seconds: float = Field(60.0, gt=0, description="How long, in seconds, a one-time link can be used.")
    log_level: str = Field("INFO", description="Least level of log lines: DEBUG, INFO, WARNING or ERROR.")

    @field_validator("public_urls")
    @classmethod
    def _without_path(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            scheme, _, rest = url.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest.rstrip("/"):
                raise ValueError(f"{url!r} is not a URL such as https://polecat.example")
        return tuple(url.rstrip("/").lower() for url in urls)

    @property
    def host(self) -> str:
        """The host part of `listen`."""
        return self.listen.rpartition(":")[0].strip("[]") or "0.0.0.0"  # noqa: S104 - as the setting asks

    @property
    def port(self) -> int:
        """The port part of `listen`."""
        return int(self.listen.rpartition(":")[2])

    @property
    def origins(self) -> frozenset[str]:
        """Scheme, host and port of each way to get here, as browsers write an origin."""
        own: set[str] = set()
        if self.host in ("127.0.0.1", "::1", "localhost"):
            own = {f"http://{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        return frozenset(own | set(self.public_urls))
