"""A bead that is wanted, before it has a name; and the name that follows from what it says."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polecat_api.bead import Priority

NAME_MAX_LENGTH = 63
HASH_LENGTH = 8

Json = dict[str, Any]
_IDENTITY = ("rigRef", "title", "prompt", "dependsOn", "baseBranch", "model")
"""What makes a piece of work the same work: the fields that can't change once it has started."""


class InputError(Exception):
    """What the user gave can't be read; the text says where and why."""


@dataclass(frozen=True)
class Draft:
    """One bead as the user wrote it."""

    source: str
    """Where it comes from, for messages: `title 2`, `plan.md line 7`."""
    title: str
    prompt: str
    name: str | None = None
    """Given by the user; else it follows from the content."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the spec, as given."""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    """One bead ready to be sent."""

    source: str
    name: str
    body: Json

    @property
    def spec(self) -> Json:
        """The spec to be sent."""
        spec: Json = self.body["spec"]
        return spec


def make_order(draft: Draft, rig: str, priority: Priority | None, depends_on: tuple[str, ...]) -> Order:
    """The Bead of a draft; the draft's own fields win over the options of the command."""
    spec: Json = {"rigRef": {"name": rig}, "title": draft.title, "prompt": draft.prompt, **draft.spec}
    if priority is not None:
        spec.setdefault("priority", priority.value)
    if depends_on:
        spec.setdefault("dependsOn", list(depends_on))
    name = draft.name or derive_name(spec)
    metadata: Json = {"name": name}
    for key, value in (("labels", draft.labels), ("annotations", draft.annotations)):
        if value:
            metadata[key] = dict(value)
    return Order(draft.source, name, {"metadata": metadata, "spec": spec})


def derive_name(spec: Mapping[str, Any]) -> str:
    """`<slug of the title>-<hash of the work>`: a DNS label of at most 63 characters.

    Equal work gives an equal name, whatever its priority or limits.
    """
    digest = hashlib.sha256(_canonical(spec).encode()).hexdigest()[:HASH_LENGTH]
    slug = slugify(str(spec["title"]), NAME_MAX_LENGTH - HASH_LENGTH - 1)
    return f"{slug}-{digest}"


def slugify(title: str, longest: int) -> str:
    """Lower case ASCII letters and digits with single dashes, cut at a word where one ends late enough.

    `bead` when nothing is left of the title.
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(slug) > longest:
        cut, whole = slug[:longest], slug[:longest].rpartition("-")[0]
        slug = whole if slug[longest] != "-" and len(whole) >= longest // 2 else cut
    return slug.strip("-") or "bead"


def same_work(wanted: Mapping[str, Any], existing: Mapping[str, Any]) -> bool:
    """Whether two specs ask for the same work."""
    return _canonical(wanted) == _canonical(existing)


def _canonical(spec: Mapping[str, Any]) -> str:
    identity = {key: spec[key] for key in _IDENTITY if spec.get(key)}
    if "dependsOn" in identity:
        identity["dependsOn"] = sorted(identity["dependsOn"])
    return json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
