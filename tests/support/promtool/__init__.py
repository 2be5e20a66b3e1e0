"""promtool, which tests the alerts: the one on PATH, or one that is built once from its Go module and kept."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from polecat_local.binaries import Declined
from polecat_local.cache import Cache
from polecat_local.commands import run
from polecat_local.errors import LocalError
from polecat_local.progress import Progress
from polecat_local.providers.gobuild import Go, build_environment, find_go

KIND = "promtool"
_MODULE = Path(__file__).parent
_PACKAGE = "github.com/prometheus/prometheus/cmd/promtool"
# Rules need no service discovery, which is most of what it is made of.
_FLAGS = ("-trimpath", "-buildvcs=false", "-tags=remove_all_sd", "-ldflags=-s -w")


def find_promtool() -> Path | None:
    """The one that is there already."""
    if on_path := shutil.which("promtool"):
        return Path(on_path)
    try:
        entry = Cache().find(KIND, _key())
    except LocalError:
        return None
    return entry / "promtool" if entry else None


async def provide_promtool(environ: dict[str, str], progress: Progress) -> Path:
    """The one that is there, else a new one: some minutes on two cores. Raises LocalError."""
    if (found := find_promtool()) is not None:
        return found
    go = await find_go(environ)
    if isinstance(go, Declined):
        raise LocalError(f"promtool can't be built: {go.reason}")
    cache = Cache()

    async def build(draft: Path) -> None:
        await _build(go, draft, cache.directory("go-promtool"), environ, progress)

    return await cache.make(KIND, f"{_key()}-go{go.version}", build, progress) / "promtool"


def _key() -> str:
    digest = hashlib.sha256("\0".join(_FLAGS).encode())
    for name in ("go.mod", "go.sum"):
        digest.update((_MODULE / name).read_bytes())
    return digest.hexdigest()[:16]


async def _build(go: Go, draft: Path, work: Path, environ: dict[str, str], progress: Progress) -> None:
    env = await build_environment(go, work, environ)
    try:
        async with progress.stage("promtool: fetching and compiling (once; takes minutes)"):
            arguments = ["build", *_FLAGS, "-o", str(draft / "promtool"), _PACKAGE]
            outcome = await run([str(go.program), *arguments], env=env, cwd=_MODULE)
        if outcome.code != 0:
            raise LocalError(f"promtool did not compile:\n{outcome.tail}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
