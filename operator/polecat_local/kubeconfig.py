"""The kubeconfig file that says how to reach an API server."""

import base64
from pathlib import Path

import yaml

from polecat_kube.connection import Connection
from polecat_local.paths import write_private


def write_kubeconfig(path: Path, connection: Connection, user: str) -> Path:
    """Writes a kubeconfig (0600) with one context named `polecat`; gives its path."""
    ca = base64.b64encode((connection.ca or "").encode()).decode()
    context = {"cluster": "polecat", "user": user, "namespace": connection.namespace}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "polecat", "cluster": {"server": connection.server, "certificate-authority-data": ca}}],
        "users": [{"name": user, "user": {"token": connection.token}}],
        "contexts": [{"name": "polecat", "context": context}],
        "current-context": "polecat",
    }
    write_private(path, yaml.safe_dump(content, sort_keys=False))
    return path
