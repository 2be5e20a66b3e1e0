"""Writes the list of packages in this image as SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/).

Run inside the image while it is built. It names Debian's packages from dpkg's database, Python's from their
metadata, and the Kilo CLI, which is one file that brings its own dependencies along. The same packages give the
same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

SITE_PACKAGES = "/opt/polecat/lib/python*/site-packages"
KILO_PACKAGE = Path("/opt/kilo/package.json")
CREATED = "2026-01-01T00:00:00Z"
"""The date of all files in the image; the true one would make each build another."""


@dataclass(frozen=True, order=True)
class Package:
    """One package; `purl` is its package URL."""

    purl: str
    name: str
    version: str
    licence: str = "NOASSERTION"


def debian() -> Iterator[Package]:
    """From dpkg's database."""
    form = "${Package}\t${Version}\t${Architecture}\n"
    listing = subprocess.run(["dpkg-query", "-W", "-f", form], check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        name, version, architecture = line.split("\t")
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}"
        yield Package(purl, name, version)


def python() -> Iterator[Package]:
    """From the metadata of what is installed in Polecat's environment."""
    directories = [str(path) for path in Path("/").glob(SITE_PACKAGES.lstrip("/"))]
    for found in importlib.metadata.distributions(path=directories):
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
        licence = found.metadata.get("License-Expression") or "NOASSERTION"
        yield Package(f"pkg:pypi/{name}@{quote(found.version)}", name, found.version, licence)


def kilo() -> Iterator[Package]:
    """From its package file."""
    manifest = json.loads(KILO_PACKAGE.read_text())
    name, version = manifest["name"], manifest["version"]
    yield Package(f"pkg:npm/{quote(name)}@{version}", name, version, manifest.get("license", "NOASSERTION"))


def document(packages: list[Package]) -> dict[str, Any]:
    """The SPDX document; its namespace follows from its content."""
    digest = hashlib.sha256(repr(packages).encode()).hexdigest()
    entries = [_entry(f"SPDXRef-{number}", package) for number, package in enumerate(packages)]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "polecat-image",
        "documentNamespace": f"https://polecat.dev/sbom/{digest}",
        "creationInfo": {"created": CREATED, "creators": ["Tool: polecat-container-image"]},
        "packages": [
            {
                "SPDXID": "SPDXRef-image",
                "name": "polecat",
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": False,
                "primaryPackagePurpose": "CONTAINER",
            },
            *entries,
        ],
        "relationships": [
            _relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image"),
            *(_relationship("SPDXRef-image", "CONTAINS", entry["SPDXID"]) for entry in entries),
        ],
    }


def _entry(identifier: str, package: Package) -> dict[str, Any]:
    return {
        "SPDXID": identifier,
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": package.licence,
        "copyrightText": "NOASSERTION",
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package.purl}
        ],
    }


def _relationship(element: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": other}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document(sorted({*debian(), *python(), *kilo()})), indent=1) + "\n")
