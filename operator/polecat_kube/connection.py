"""Where the API server is and who we are: from a kubeconfig or from inside a pod."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from polecat_kube.errors import ConfigurationError

_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Connection:
    """An API server and an identity. The token is read from its file again for each use, as it is rotated."""

    server: str
    namespace: str = "default"
    ca: str | None = None
    """PEM text; None means the system's authorities."""
    insecure: bool = False
    token: str | None = None
    token_file: Path | None = None
    client_certificate: tuple[str, str] | None = None
    """PEM texts of certificate and key."""

    def current_token(self) -> str | None:
        """The bearer token to present now, if the identity has one."""
        return self.token_file.read_text().strip() if self.token_file else self.token

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS settings for the server; None for plain HTTP."""
        if not self.server.startswith("https://"):
            return None
        context = ssl.create_default_context(cadata=self.ca)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_certificate:
            # Python's ssl reads a certificate from files only.
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
                both.write("\n".join(self.client_certificate))
                both.flush()
                context.load_cert_chain(both.name)
        return context


def in_cluster() -> Connection | None:
    """The connection of a pod's service account; None outside of a pod."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (_POD / "token").exists():
        return None
    host = f"[{host}]" if ":" in host else host
    return Connection(
        server=f"https://{host}:{port}",
        namespace=(_POD / "namespace").read_text().strip(),
        ca=(_POD / "ca.crt").read_text(),
        token_file=_POD / "token",
    )


def kubeconfig_path() -> Path:
    """The kubeconfig that kubectl would read."""
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(first) if first else Path.home() / ".kube" / "config"


def connect(kubeconfig: Path | None = None) -> Connection:
    """The connection that kubectl would use: a kubeconfig, else the pod's own.

    Raises ConfigurationError, with what to do, when there is neither.
    """
    path = kubeconfig or kubeconfig_path()
    if path.exists():
        return from_kubeconfig(path)
    inside = None if kubeconfig else in_cluster()
    if inside is None:
        raise ConfigurationError(
            f"no kubeconfig at {path}, and not inside a pod; set KUBECONFIG (`polecat up` prints the path of its own)"
        )
    return inside


def from_kubeconfig(path: Path) -> Connection:
    """The current context of a kubeconfig. Raises ConfigurationError when it can't be read."""
    try:
        config = yaml.safe_load(path.read_text())
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"]
        return Connection(
            server=cluster["server"].rstrip("/"),
            namespace=context.get("namespace", "default"),
            ca=_pem(cluster, "certificate-authority", path),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            **_identity(user, path),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"the kubeconfig {path} can't be used: {error!r}") from error


def _identity(user: dict[str, Any], path: Path) -> dict[str, Any]:
    if "exec" in user or "auth-provider" in user:
        return {"token": _plugin_token(path)}
    certificate, key = _pem(user, "client-certificate", path), _pem(user, "client-key", path)
    return {
        "token": user.get("token"),
        "token_file": Path(user["tokenFile"]) if user.get("tokenFile") else None,
        "client_certificate": (certificate, key) if certificate and key else None,
    }


def _plugin_token(path: Path) -> str:
    """A token from the credential plugin of a cloud; the official client knows how to run it."""
    from kubernetes import config as official  # large, and needed for plugins only

    api_client = official.new_client_from_config(config_file=str(path))  # type: ignore[no-untyped-call]
    return str(api_client.configuration.get_api_key_with_prefix("authorization")).removeprefix("Bearer ")


def _named(config: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    for entry in config[section]:
        if entry["name"] == name:
            return dict(entry)
    raise ValueError(f"{section} has no {name!r}")


def _pem(entry: dict[str, Any], key: str, path: Path) -> str | None:
    if data := entry.get(f"{key}-data"):
        return base64.b64decode(str(data)).decode()
    if file := entry.get(key):
        return (path.parent / str(file)).read_text()
    return None
