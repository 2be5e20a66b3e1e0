"""Whether the installed CRDs are those of this version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from polecat_api import GROUP, VERSION
from polecat_api.crd import KINDS, build_crd
from polecat_api.untrusted import Json
from polecat_cli.doctor.facts import Facts, Finding, at

_TOLD = 4
"""So many fields are named in one finding."""
_APPLY = "apply the crds/ of this version with `kubectl apply --server-side -f crds/` (`polecat up` does it itself)"
_UPGRADE = "use the version of polecat that belongs to them, for all of: this command, operator, town"


def check_crds(facts: Facts) -> Iterator[Finding]:
    """CRDs that are missing, older, newer, or changed."""
    if facts.crds is None:
        return
    for kind in KINDS:
        name = f"{kind.plural}.{GROUP}"
        installed = facts.crds.get(name)
        if installed is None:
            yield Finding(f"CRD {name}", "is not installed", _APPLY)
        else:
            yield from _compare(name, installed, build_crd(kind))


def _compare(name: str, installed: Json, shipped: Json) -> Iterator[Finding]:
    subject = f"CRD {name}"
    if at(installed, "metadata", "deletionTimestamp"):
        yield Finding(subject, "is being deleted, and with it all objects of its kind", "wait for that, then " + _APPLY)
        return
    versions = [each for each in at(installed, "spec", "versions") or () if at(each, "served")]
    served = next((each for each in versions if each["name"] == VERSION), None)
    if served is None:
        others = ", ".join(each["name"] for each in versions) or "nothing"
        yield Finding(subject, f"serves {others}, and not {VERSION}", f"{_APPLY}, or {_UPGRADE}")
        return
    ours = shipped["spec"]["versions"][0]
    here, there = schema_of(ours), schema_of(served)
    missing, extra = sorted(fields_of(here) - fields_of(there)), sorted(fields_of(there) - fields_of(here))
    if missing:
        yield Finding(subject, f"is older than this version: it lacks {_some(missing)}", _APPLY)
    if extra:
        yield Finding(subject, f"is newer than this version: it also has {_some(extra)}", _UPGRADE)
    if not missing and not extra:
        if comparable(here) != comparable(there):
            yield Finding(subject, "has other rules, limits or defaults than this version's", _APPLY)
        elif set(at(served, "subresources") or ()) != set(at(ours, "subresources") or ()):
            yield Finding(subject, "has other subresources than this version's", _APPLY)


def schema_of(version: Mapping[str, Any]) -> Json:
    """The schema of one entry of `spec.versions`."""
    found = at(dict(version), "schema", "openAPIV3Schema")
    return found if isinstance(found, dict) else {}


def fields_of(schema: Mapping[str, Any], path: str = "") -> set[str]:
    """Paths of all fields below spec and status, e.g. `status.pods[].name`."""
    found: set[str] = set()
    for name, child in (schema.get("properties") or {}).items():
        if not path and name not in ("spec", "status"):
            continue
        where = f"{path}.{name}" if path else name
        found |= {where} | fields_of(child, where)
    if isinstance(schema.get("items"), dict):
        found |= fields_of(schema["items"], f"{path}[]")
    return found


def comparable(node: Any) -> Any:
    """A schema without what only people read, in one order."""
    if isinstance(node, dict):
        kept = {
            key: comparable(child) for key, child in node.items() if key != "description" or isinstance(child, dict)
        }
        if isinstance(kept.get("required"), list):
            kept["required"] = sorted(kept["required"])
        return kept
    return [comparable(each) for each in node] if isinstance(node, list) else node


def _some(paths: list[str]) -> str:
    # A missing object is told once, not with all that is in it.
    tops = [path for path in paths if not any(path.startswith((f"{other}.", f"{other}[")) for other in paths)]
    rest = len(tops) - _TOLD
    return ", ".join(tops[:_TOLD]) + (f" and {rest} more" if rest > 0 else "")
