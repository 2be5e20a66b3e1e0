"""Beads from YAML (or JSON): short entries with a title, or whole Bead manifests, in any mixture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from polecat_api import GROUP
from polecat_sling.draft import Draft, InputError

_SPEC_KEYS = frozenset({"priority", "dependsOn", "suspend", "baseBranch", "model", "limits", "rerun"})
_SHORT_KEYS = _SPEC_KEYS | {"title", "prompt", "name"}


class _Loader(yaml.SafeLoader):
    """Leaves dates as the text they are: JSON has none."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def looks_like_yaml(text: str) -> bool:
    """Whether a text without a file name is such YAML; a Markdown list is YAML as well, but of strings."""
    try:
        entries = list(_entries(list(yaml.load_all(text, _Loader))))
    except yaml.YAMLError:
        return False
    return bool(entries) and all(isinstance(e, dict) and ("title" in e or "kind" in e) for e in entries)


def parse_yaml(text: str, source: str, rig: str) -> list[Draft]:
    """All entries in their order; raises InputError with all that is wrong, one line each."""
    try:
        documents = list(yaml.load_all(text, _Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"{source}{where}: no valid YAML: {getattr(error, 'problem', None) or error}") from error
    drafts: list[Draft] = []
    wrong: list[str] = []
    for number, entry in enumerate(_entries(documents), start=1):
        try:
            drafts.append(_draft(entry, f"{source} entry {number}", rig))
        except InputError as error:
            wrong.append(str(error))
    if wrong:
        raise InputError("\n".join(wrong))
    if not drafts:
        raise InputError(f"{source}: nothing in it")
    return drafts


def _entries(documents: list[Any]) -> Iterator[Any]:
    for document in documents:
        if isinstance(document, list):
            yield from document
        elif isinstance(document, dict) and isinstance(document.get("items"), list):
            yield from document["items"]
        elif document is not None:
            yield document


def _draft(entry: Any, source: str, rig: str) -> Draft:
    if not isinstance(entry, dict):
        raise InputError(f"{source}: {str(entry)[:60]!r} is no mapping; write `title: …` and `prompt: …`")
    return _manifest(entry, source, rig) if "kind" in entry or "apiVersion" in entry else _short(entry, source)


def _short(entry: dict[str, Any], source: str) -> Draft:
    if unknown := sorted(str(key) for key in entry.keys() - _SHORT_KEYS):
        raise InputError(f"{source}: unknown {', '.join(unknown)}; known are {', '.join(sorted(_SHORT_KEYS))}")
    title = _string(entry, "title", source)
    prompt = _string(entry, "prompt", source) if entry.get("prompt") is not None else title
    name = _string(entry, "name", source) if entry.get("name") is not None else None
    return Draft(source, title, prompt, name, _checked({k: entry[k] for k in entry.keys() & _SPEC_KEYS}, source))


def _manifest(entry: dict[str, Any], source: str, rig: str) -> Draft:
    if entry.get("kind") != "Bead" or not str(entry.get("apiVersion", "")).startswith(f"{GROUP}/"):
        raise InputError(f"{source}: a {entry.get('kind')}; only Beads of {GROUP} can be slung")
    meta, spec = entry.get("metadata") or {}, entry.get("spec") or {}
    if not isinstance(meta, dict):
        raise InputError(f"{source}: metadata must be a mapping")
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    if not all(isinstance(part, dict) for part in (spec, labels, annotations)):
        raise InputError(f"{source}: spec, labels and annotations must be mappings")
    named = spec.get("rigRef") or {"name": rig}
    if named != {"name": rig}:
        raise InputError(f"{source}: its rigRef is {named}, but the command says rig {rig}")
    title = _string(spec, "title", source)
    prompt = _string(spec, "prompt", source) if spec.get("prompt") is not None else title
    name = _string(meta, "name", source) if meta.get("name") is not None else None
    # Fields that are not known here go along: the API server knows its own version's.
    rest = {key: value for key, value in spec.items() if key not in ("rigRef", "title", "prompt")}
    rest = _checked(rest, source)
    return Draft(source, title, prompt, name, rest, labels, annotations)


def _checked(spec: dict[str, Any], source: str) -> dict[str, Any]:
    """What the name is derived from must have its shape; the rest is the API server's to judge."""
    beads = spec.get("dependsOn") or []
    if not isinstance(beads, list) or not all(isinstance(bead, str) for bead in beads):
        raise InputError(f"{source}: dependsOn must be a list of bead names")
    return spec


def _string(entry: dict[str, Any], key: str, source: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{source}: {key} must be a text{'' if value is None else f', not {value!r}'}")
    return value.rstrip() if key == "prompt" else value.strip()
