"""One writer and at least one reader for each field, in the table and in the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from pydantic.alias_generators import to_snake

from polecat_api.crd import KINDS, build_crd, build_schema
from polecat_api.fields import OWNERSHIP, PACKAGES
from support.paths import ROOT

DIRECTORIES = {
    "polecat_operator": "operator/polecat_operator",
    "polecat_town": "container/polecat_town",
    "polecat_cli": "operator/polecat_cli",
    "polecat_local": "operator/polecat_local",
    "polecat_dashboard": "operator/polecat_dashboard",
}


def leaves(node: dict[str, Any], path: str) -> Iterator[str]:
    """Paths of all fields that hold a value of their own; conditions count as one."""
    for name, child in node.get("properties", {}).items():
        item = child.get("items", {})
        if child.get("properties"):
            yield from leaves(child, f"{path}.{name}")
        elif item.get("properties") and name != "conditions":
            yield from leaves(item, f"{path}.{name}[]")
        else:
            yield f"{path}.{name}"


def declared() -> set[str]:
    found = set()
    for kind in KINDS:
        schema = build_schema(kind.model)["properties"]
        for part in ("spec", "status"):
            found |= set(leaves(schema[part], f"{kind.model.__name__}.{part}"))
    return found


@cache
def words(package: str) -> frozenset[str]:
    """Every name that a package's code uses: attributes, keywords, strings (for fields named on the wire)."""
    found: set[str] = set()
    for file in (ROOT / DIRECTORIES[package]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.keyword) and node.arg:
                found.add(node.arg)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(node.value.strip("/").split("/"))
    return frozenset(found)


def names_of(path: str) -> set[str]:
    """How code may name the field: as an attribute, or as it stands on the wire."""
    leaf = path.rsplit(".", 1)[1]
    if leaf in ("name", "uid", "cpu", "memory"):  # said by their parent: rigRef.name, limits.memory
        leaf = path.split(".")[-2].removesuffix("[]")
    return {leaf, to_snake(leaf)}


def test_the_table_has_every_field_and_no_other() -> None:
    assert set(OWNERSHIP) == declared()


@pytest.mark.parametrize("path", sorted(OWNERSHIP))
def test_writer_and_readers_name_the_field(path: str) -> None:
    row = OWNERSHIP[path]
    assert row.readers, f"nobody reads {path}"
    if row.writer != "user":
        assert names_of(path) & words(PACKAGES[row.writer]), f"{row.writer} never writes {path}"
    for reader in row.readers:
        if reader in PACKAGES:
            assert names_of(path) & words(PACKAGES[reader]), f"{reader} never reads {path}"


@pytest.mark.parametrize("path", sorted(path for path, row in OWNERSHIP.items() if "kubectl" in row.readers))
def test_what_kubectl_shows_is_a_column(path: str) -> None:
    kind_name, _, field = path.partition(".")
    kind = next(kind for kind in KINDS if kind.model.__name__ == kind_name)
    columns = build_crd(kind)["spec"]["versions"][0]["additionalPrinterColumns"]
    assert any(column["jsonPath"].startswith(f".{field}") for column in columns)


def test_specs_are_the_users_but_for_polecats() -> None:
    for path, row in OWNERSHIP.items():
        kind, part = path.split(".")[:2]
        if part == "spec":
            assert row.writer == ("operator" if kind == "Polecat" else "user")
