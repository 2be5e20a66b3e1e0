"""Container images by hand: one layer, one static program, as `docker save` writes them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from polecat_local.platforms import release_arch

PAUSE = "polecat.test/pause:1"
"""Name of the image that holds a pod's namespaces; only the node itself knows it."""


def write_image(archive: Path, name: str, program: Path) -> None:
    """Writes a docker-archive whose only file, and entry point, is the program."""
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    config: dict[str, Any] = {
        "architecture": release_arch(),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    parts = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    archive.write_bytes(_tar(parts, mode=0o644))


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()
