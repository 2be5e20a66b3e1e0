"""What `polecat status` tells, as plain data: processes, and a row for each object."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from polecat_api.untrusted import Json, condition, section
from polecat_kube.api import KubeApi
from polecat_kube.resources import BEAD, POLECAT, RIG, TOWN, ResourceType
from polecat_local import versions
from polecat_local.datadir import DataDir

_PROGRAM_VERSIONS = {
    "etcd": versions.ETCD,
    "kube-apiserver": versions.KUBERNETES,
    "kube-controller-manager": versions.KUBERNETES,
}
_MODULES = {"polecat_operator": "operator", "polecat_town": "town", "polecat_dashboard": "dashboard"}


@dataclass(frozen=True)
class Table:
    """One table for people: all cells are text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def process_table(data: DataDir, own_version: str) -> Table:
    """The programs of the running cluster with versions and memory; empty when none runs."""
    runner = data.runner()
    parent = runner.process() if runner is not None else None
    rows: list[tuple[str, ...]] = []
    if parent is not None:
        try:
            for process in [parent, *parent.children()]:
                rows.append(_process_row(process, parent, own_version))
        except psutil.NoSuchProcess:
            rows = []
    return Table("Processes", ("NAME", "PID", "VERSION", "MEMORY"), rows)


def _process_row(process: psutil.Process, parent: psutil.Process, own_version: str) -> tuple[str, ...]:
    name = "up" if process == parent else program_name(process.cmdline(), process.environ)
    version = _PROGRAM_VERSIONS.get(name, own_version)
    return name, str(process.pid), version, f"{process.memory_info().rss >> 20} MiB"


def program_name(command: list[str], environ: Callable[[], Mapping[str, str]]) -> str:
    """The user's word for a child of ours, from its command line; operators differ in their environment only.

    `environ` is asked for theirs alone: that of a town can't be read.
    """
    for module, name in _MODULES.items():
        if module in command:
            return environ().get("POLECAT_OPERATOR_IDENTITY", name).partition("_")[0] if name == "operator" else name
    return Path(command[0]).name if command else "?"


async def object_tables(api: KubeApi) -> list[Table]:
    """Towns, rigs, beads, polecats: one table each, all namespaces."""
    tables: list[Table] = []
    for resource, columns in _COLUMNS:
        items, _ = await api.list(resource)
        ordered = sorted(items, key=lambda i: (i["metadata"]["namespace"], i["metadata"]["creationTimestamp"]))
        rows = [tuple(_text(read(item)) for read in columns.values()) for item in ordered]
        tables.append(Table(f"{resource.kind}s", tuple(columns), rows))
    return tables


def _at(*path: str) -> Callable[[Json], Any]:
    def read(item: Json) -> Any:
        value: Any = item
        for key in path:
            value = (value or {}).get(key)
        return value

    return read


def _condition(kind: str, field: str) -> Callable[[Json], Any]:
    def read(item: Json) -> Any:
        return condition(section(item, "status"), kind).get(field)

    return read


_NAME = {"NAMESPACE": _at("metadata", "namespace"), "NAME": _at("metadata", "name")}
_COLUMNS: tuple[tuple[ResourceType, dict[str, Callable[[Json], Any]]], ...] = (
    (
        TOWN,
        _NAME
        | {
            "READY": _condition("Ready", "status"),
            "REPLICAS": _at("spec", "replicas"),
            "SLOTS": _at("spec", "slots"),
            "POLECATS": _at("status", "polecats"),
            "QUEUED": _at("status", "queued"),
            "MESSAGE": _condition("Ready", "message"),
        },
    ),
    (
        RIG,
        _NAME
        | {
            "READY": _condition("Ready", "status"),
            "POLECATS": _at("status", "polecats"),
            "QUEUED": _at("status", "queued"),
            "REPOSITORY": _at("spec", "repository", "url"),
            "MESSAGE": _condition("Ready", "message"),
        },
    ),
    (
        BEAD,
        _NAME
        | {
            "STATE": _at("status", "state"),
            "QUEUE": _at("status", "queuePosition"),
            "POLECAT": _at("status", "polecat"),
            "BRANCH": _at("status", "branch"),
            "TITLE": _at("spec", "title"),
        },
    ),
    (
        POLECAT,
        _NAME
        | {
            "READY": _condition("Ready", "status"),
            "BEAD": _at("spec", "beadRef", "name"),
            "POD": _at("spec", "pod"),
            "ATTEMPT": _at("spec", "attempt"),
            "HEARTBEAT": _at("status", "heartbeatTime"),
            "ACTIVITY": _at("status", "activity"),
        },
    ),
)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def export_line(data: DataDir) -> str:
    """The shell line that makes kubectl talk to this cluster."""
    return f"export KUBECONFIG={shlex.quote(str(data.kubeconfig))}"
