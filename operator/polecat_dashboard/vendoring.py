"""Makes the page's third-party files again from npm: `python -m polecat_dashboard.vendoring` (`make vendor`).

`static/vendor/manifest.json` names each package with its version, licence and npm's own checksum, and each file with
its SHA-256. To change a version, change it there, empty `integrity` and `sha256`, run this, and look at the result.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).parent / "static" / "vendor"
MANIFEST = VENDOR / "manifest.json"


class VendorError(Exception):
    """A file is not what the manifest says."""


def read_manifest() -> dict[str, Any]:
    """The manifest as it stands."""
    manifest: dict[str, Any] = json.loads(MANIFEST.read_text())
    return manifest


def differences(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with the files that lie there: changed, missing, or not named in the manifest."""
    named = {file["to"]: file["sha256"] for package in manifest["packages"] for file in package["files"]}
    there = {path.name for path in VENDOR.iterdir()} - {MANIFEST.name}
    wrong = [f"{name}: not in the manifest" for name in sorted(there - named.keys())]
    for name, digest in named.items():
        if name not in there:
            wrong.append(f"{name}: missing")
        elif hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() != digest:
            wrong.append(f"{name}: changed")
    return wrong


def make(manifest: dict[str, Any]) -> None:
    """Fetches all packages and writes their files and the manifest. Raises VendorError for a wrong checksum."""
    with tempfile.TemporaryDirectory() as scratch:
        for package in manifest["packages"]:
            archive = _fetch(package, Path(scratch))
            with tarfile.open(archive) as tar:
                for file in package["files"]:
                    _extract(tar, file)
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")


def _fetch(package: dict[str, Any], scratch: Path) -> Path:
    what = f"{package['name']}@{package['version']}"
    command = ["npm", "pack", "--silent", "--pack-destination", str(scratch), what]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=scratch)
    archive = scratch / done.stdout.strip().splitlines()[-1]
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if package["integrity"] not in ("", integrity):
        raise VendorError(f"{what}: npm gave something else than before ({integrity})")
    package["integrity"] = integrity
    return archive


def _extract(tar: tarfile.TarFile, file: dict[str, Any]) -> None:
    member = tar.extractfile(f"package/{file['from']}")
    if member is None:
        raise VendorError(f"{file['from']} is no file")
    content = member.read()
    for old, new in file.get("replace", []):
        if old.encode() not in content:
            raise VendorError(f"{file['from']}: {old!r} is not in it")
        content = content.replace(old.encode(), new.encode())
    digest = hashlib.sha256(content).hexdigest()
    if file.get("sha256") not in (None, "", digest):
        raise VendorError(f"{file['to']}: not the same as before")
    file["sha256"] = digest
    (VENDOR / file["to"]).write_bytes(content)


def main() -> int:
    """Exit status 0 when all files are made and are what the manifest says."""
    manifest = read_manifest()
    try:
        make(manifest)
    except VendorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for line in (wrong := differences(manifest)):
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
