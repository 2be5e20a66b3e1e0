"""Reads and rewrites images as docker-archives (the tar that `docker save` writes).

Its `manifest.json` names the configuration and the layers, each a tar of its own; see
https://github.com/opencontainers/image-spec and Docker's image specification v1.2.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polecat_image.tools import EPOCH_SECONDS

_ARGUMENTS = re.compile(r"^\|\d+ (?:[A-Za-z_]\w*=\S* )*")
"""How a builder notes the arguments of a step, before its command."""


@dataclass(frozen=True)
class Layer:
    """One layer: its size as it lies in the archive, and the step that made it."""

    size_bytes: int
    made_by: str


@dataclass(frozen=True)
class Image:
    """What an archive says about its image."""

    config: dict[str, Any]
    layer_names: tuple[str, ...]
    layers: tuple[Layer, ...]

    @property
    def identifier(self) -> str:
        """The image's ID: the digest of its configuration."""
        return f"sha256:{hashlib.sha256(_json(self.config)).hexdigest()}"

    @property
    def size_bytes(self) -> int:
        """Of all layers together."""
        return sum(layer.size_bytes for layer in self.layers)


def inspect(archive: Path) -> Image:
    """Raises KeyError or tarfile.TarError when it is no docker-archive of one image."""
    with tarfile.open(archive) as tar:
        manifest = json.loads(_content(tar, "manifest.json"))[0]
        config = json.loads(_content(tar, manifest["Config"]))
        names = tuple(manifest["Layers"])
        steps = [step.get("created_by", "") for step in config.get("history", []) if not step.get("empty_layer")]
        steps += [""] * (len(names) - len(steps))
        layers = tuple(
            Layer(_real(tar, name).size, step) for name, step in zip(names, steps[: len(names)], strict=True)
        )
    return Image(config, names, layers)


def read_file(archive: Path, path: str) -> bytes:
    """A file of the image, looked for from the topmost layer down; raises KeyError if it has none."""
    with tarfile.open(archive) as tar:
        for name in reversed(json.loads(_content(tar, "manifest.json"))[0]["Layers"]):
            content = tar.extractfile(_real(tar, name))
            with tarfile.open(fileobj=content) as layer:
                for member in layer:
                    if member.name.removeprefix("./") == path.lstrip("/"):
                        found = layer.extractfile(member)
                        if found is not None:
                            return found.read()
    raise KeyError(path)


def rewrite(
    source: Path, target: Path, tags: Sequence[str], labels: dict[str, str] | None = None, without: Sequence[str] = ()
) -> None:
    """Writes the image again under other names, with more labels, and without some of its files.

    More labels or fewer files make it another image with another ID, which shares its layers with the first.
    What builders note of the one build (the name of their container, arguments of steps) is left out, so that the
    same image has the same ID.
    """
    image = inspect(source)
    config = _without_the_build(image.config)
    config["config"]["Labels"] = {**(config["config"].get("Labels") or {}), **(labels or {})}
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        names: list[str] = []
        for name, digest in zip(image.layer_names, config["rootfs"]["diff_ids"], strict=True):
            member = _real(old, name)
            names.append(f"{digest.removeprefix('sha256:')}.tar")
            if names.count(names[-1]) == 1:
                _add(new, names[-1], old.extractfile(member), member.size)
        if without:
            layer = _removal(without)
            digest = hashlib.sha256(layer).hexdigest()
            names.append(f"{digest}.tar")
            _add(new, names[-1], io.BytesIO(layer), len(layer))
            config["rootfs"]["diff_ids"].append(f"sha256:{digest}")
            config["history"].append({"created_by": f"remove {' '.join(without)}"})
        content = _json(config)
        config_name = f"{hashlib.sha256(content).hexdigest()}.json"
        manifest = _json([{"Config": config_name, "RepoTags": list(tags), "Layers": names}])
        for name, data in ((config_name, content), ("manifest.json", manifest)):
            _add(new, name, io.BytesIO(data), len(data))


def table(image: Image) -> Iterator[str]:
    """Lines for people: each layer's size in MB and its step, and the sum."""
    for layer in image.layers:
        yield f"{layer.size_bytes / 1e6:9.1f} MB  {_short(layer.made_by)}"
    yield f"{image.size_bytes / 1e6:9.1f} MB  in {len(image.layers)} layers"


def _without_the_build(config: dict[str, Any]) -> dict[str, Any]:
    kept = copy.deepcopy(config)
    for name in ("container", "container_config"):
        kept.pop(name, None)
    kept["config"].pop("Hostname", None)
    for step in kept.get("history", []):
        step.pop("comment", None)
        if "created_by" in step:
            step["created_by"] = _ARGUMENTS.sub("", step["created_by"])
    return kept


def _removal(paths: Sequence[str]) -> bytes:
    """A layer of whiteouts: an empty file `.wh.NAME` hides NAME of the layers below."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in paths:
            directory, _, name = path.strip("/").rpartition("/")
            _add(tar, f"{directory}/.wh.{name}".lstrip("/"), io.BytesIO(), 0)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: Any, size_bytes: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size_bytes
    member.mtime = EPOCH_SECONDS
    tar.addfile(member, content)


def _real(tar: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """The member itself: equal layers may be links to the first of them."""
    member = tar.getmember(name)
    if not (member.issym() or member.islnk()):
        return member
    target = member.linkname
    if member.issym():
        parts = [*Path(name).parent.parts, *Path(target).parts]
        resolved: list[str] = []
        for part in parts:
            if part == "..":
                resolved.pop()
            else:
                resolved.append(part)
        target = "/".join(resolved)
    return _real(tar, target)


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    found = tar.extractfile(_real(tar, name))
    if found is None:
        raise KeyError(name)
    return found.read()


def _short(made_by: str, width: int = 90) -> str:
    words = " ".join(made_by.removeprefix("/bin/sh -c ").removeprefix("#(nop) ").split())
    return words if len(words) <= width else f"{words[: width - 1]}…"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
