"""The dashboard of `polecat up`: a process of its own, opened by `polecat dashboard` without a password."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from polecat_local.cluster import LocalCluster
from polecat_local.dashboard import dashboard_url
from support.dashboard_site import Browser

StartCluster = Callable[..., Awaitable[LocalCluster]]


async def command(*arguments: str) -> tuple[int, str]:
    """Exit code and output of `polecat …`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "polecat_cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/")},
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode().strip()


async def enter(browser: Browser, link: str) -> int:
    """Status of the answer when somebody opens a link."""
    answer = await browser.post("/api/login/link", {"code": link.partition("#")[2]})
    return answer.status


async def test_the_user_of_the_machine_gets_in_by_a_link(start_cluster: StartCluster, tmp_path: Path) -> None:
    # Longer than the path of a Unix socket may be.
    data_dir = tmp_path / ("d" * 90) / "cluster"
    cluster = await start_cluster(data_dir=data_dir, run_operator=False, run_town=False, run_dashboard=True)
    where = ("--data-dir", str(data_dir))
    code, link = await command("dashboard", "--no-open", *where)
    origin = dashboard_url(cluster.data)
    assert origin is not None and (code, link.partition("/login#")[0]) == (0, origin), link
    async with Browser(origin, {}) as browser, Browser(origin, {}) as second:
        assert await enter(browser, link) == 200
        assert (await browser.get("/api/session")).json["user"] == "system:serviceaccount:polecat-system:polecat-user"
        assert await enter(second, link) == 401
        snapshot = await browser.first("/api/changes", "snapshot")
        assert [town["name"] for town in snapshot["towns"]] == ["main"]
        # It may work with our kinds and nothing else, and its dashboard may change nothing at all.
        assert (await browser.get("/api/permissions/default")).json == {
            **dict.fromkeys(("create", "edit", "delete", "prompt", "stream"), True)
        }
    assert f"dashboard {origin}" in (await command("status", *where))[1]
    arguments = [word for process in psutil.process_iter() for word in _arguments(process)]
    assert not any(link.partition("#")[2] in word for word in arguments)

    # It is started again at the same address; sessions have ended with the process, links are given again.
    await cluster.dashboard.kill()
    code, link = await command("dashboard", "--no-open", *where)
    assert (code, link.partition("/login#")[0]) == (0, origin), link
    async with Browser(origin, {}) as browser:
        assert await enter(browser, link) == 200


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


async def test_there_is_no_link_where_nothing_runs(tmp_path: Path) -> None:
    code, said = await command("dashboard", "--no-open", "--data-dir", str(tmp_path))
    assert code == 1 and said == f"error: nothing runs on {tmp_path}; start it with `polecat up`"


async def test_it_ends_cleanly_while_somebody_looks(start_cluster: StartCluster) -> None:
    cluster = await start_cluster(run_operator=False, run_town=False, run_dashboard=True)
    code, link = await command("dashboard", "--no-open", "--data-dir", str(cluster.data.path))
    assert code == 0, link
    child = cluster.dashboard.child
    assert child is not None
    async with Browser(dashboard_url(cluster.data) or "", {}) as browser:
        assert await enter(browser, link) == 200
        events = browser.events("/api/changes")
        assert (await anext(events))[0] == "pulse"
        await cluster.dashboard.stop(60.0)
        # The answer is whole: its end is told, nothing is torn off.
        async with asyncio.timeout(60):
            assert {kind async for kind, _ in events} <= {"snapshot", "changes", "pulse"}
    log = child.log.read_text()
    assert (child.exit_code, "Traceback" in log, "ERROR" in log) == (0, False, False), log
