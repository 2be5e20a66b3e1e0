"""Which browser the tests take, and that what comes from npm is what was pinned."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest

from polecat_local.cache import Cache
from polecat_local.errors import LocalError
from polecat_local.progress import Progress
from support.browser import NoBrowserError, chain, packages, provide_browser
from support.browser.program import BrowserProgram

QUIET = Progress(io.StringIO())


class Works(BrowserProgram):
    async def why_not(self) -> str | None:
        return None


class Broken(BrowserProgram):
    async def why_not(self) -> str | None:
        return "it does not run"


def chain_of(monkeypatch: pytest.MonkeyPatch, *served: BrowserProgram | str | LocalError) -> None:
    """Providers `found`, `package`, … that answer so."""

    def provider(answer: BrowserProgram | str | LocalError) -> chain.Provider:
        async def provide(_cache: Cache, _progress: Progress) -> BrowserProgram | str:
            if isinstance(answer, LocalError):
                raise answer
            return answer

        return provide

    names = ("found", "package", "download")
    monkeypatch.setattr(chain, "_PROVIDERS", {n: provider(a) for n, a in zip(names, served, strict=True)})


async def test_the_first_that_works_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = Works(tmp_path, "the third")
    chain_of(monkeypatch, Broken(tmp_path, "x"), LocalError("no registry"), good)
    assert await provide_browser(Cache(tmp_path), QUIET, {}) is good


async def test_what_each_place_said_is_told_when_none_has_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chain_of(monkeypatch, "not on PATH", LocalError("no registry"), Broken(tmp_path, "x"))
    with pytest.raises(NoBrowserError) as caught:
        await provide_browser(Cache(tmp_path), QUIET, {})
    told = str(caught.value)
    assert "found: not on PATH" in told
    assert "package: no registry" in told
    assert "download: it does not run" in told


async def test_one_place_alone_can_be_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = Works(tmp_path, "first"), Works(tmp_path, "second")
    chain_of(monkeypatch, first, second, "nothing")
    assert await provide_browser(Cache(tmp_path), QUIET, {chain.VARIABLE: "package"}) is second
    with pytest.raises(NoBrowserError, match="must be one of found, package, download"):
        await provide_browser(Cache(tmp_path), QUIET, {chain.VARIABLE: "firefox"})


async def test_a_program_that_is_no_browser_is_told(tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho no window for you >&2\nexit 3\n")
    program.chmod(0o755)
    why = await BrowserProgram(program, "made up").why_not()
    assert why is not None
    assert "does not run" in why


async def test_another_content_than_the_pinned_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho not what was pinned > package-1.0.0.tgz\n")
    npm.chmod(0o755)
    monkeypatch.setattr(packages, "find_npm", lambda _environ: [str(npm)])
    package = dataclasses.replace(packages.AXE, version="1.0.0")
    cache = Cache(tmp_path / "cache")
    with pytest.raises(packages.PackageError, match="wrong checksum"):
        await packages.unpacked(cache, "thing", package, QUIET)
    assert cache.find("thing", "") is None
