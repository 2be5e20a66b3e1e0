"""I44 and I30: what an agent that means harm can reach, and what it can make the supervisor run."""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path

import psutil
import pytest

from polecat_town.domain.domain import Command, kill_marked, launch_words, run_in_domain, spawn_in_domain
from polecat_town.domain.landlock import probe_isolation
from polecat_town.errors import WorkspaceError
from polecat_town.git.store import Store

from .conftest import Project, git, new_agent
from .waiting import until

isolated = pytest.mark.skipif(
    probe_isolation().level != "IsolationFull", reason="this kernel's Landlock can't keep agents apart wholly"
)


@isolated
async def test_i44_files_of_others_are_out_of_reach(project: Project, store: Store) -> None:
    victim = await new_agent(store, "maple")
    (victim.workspace.worktree / "secret").write_text("s3cret")
    agent = await new_agent(store)
    targets = [
        victim.workspace.worktree / "secret",
        store.git_dir / "config",
        store.git_dir / "packed-refs",
        project.remote / "HEAD",
        project.root,
        project.root / "data",
        Path.home(),
        Path("/tmp"),
        Path("/dev/shm"),
        Path("/var/run/secrets"),
        Path(f"/proc/{os.getpid()}/environ"),
        Path(f"/proc/{os.getpid()}/root/etc/hostname"),
    ]
    for target in targets:
        done = await agent.sh(f"if [ -d {target} ]; then ls {target}; else cat {target}; fi")
        assert not done.ok, f"{target} can be read: {done.output}"
    for place in (
        victim.workspace.worktree,
        store.git_dir / "objects",
        project.root / "data",
        Path("/tmp"),
        Path("/usr"),
    ):
        done = await agent.sh(f"touch {place}/mine")
        assert not done.ok, f"{place} can be written"
    assert not (await agent.sh(f"mv {victim.workspace.worktree} .")).ok
    assert not (await agent.sh(f"ln {victim.workspace.worktree}/secret . && cat secret")).ok
    assert (await agent.sh(f"ln -s {victim.workspace.worktree}/secret link && cat link")).exit_code != 0
    assert (victim.workspace.worktree / "secret").read_text() == "s3cret"


@isolated
async def test_i44_processes_of_others_are_out_of_reach(store: Store, tmp_path: Path) -> None:
    victim = await new_agent(store, "maple")
    agent = await new_agent(store)
    env = {"PATH": os.environ["PATH"], "MODEL_KEY": "k3y"}
    command = Command(("sleep", "600"), victim.workspace.directory, env)
    process = await spawn_in_domain(victim.workspace.domain, command, tmp_path / "log", marker=victim.workspace.uid)
    try:
        warden = psutil.Process(process.pid)
        await until(lambda: [each.name() for each in warden.children()] == ["sleep"])
        for pid in (warden.pid, warden.children()[0].pid):
            assert not (await agent.sh(f"cat /proc/{pid}/environ")).ok
            assert not (await agent.sh(f"kill -9 {pid}")).ok
            assert not (await agent.sh(f"cat /proc/{pid}/mem | head -c 1 | grep .")).ok
        assert not (await agent.sh(f"kill -9 {os.getpid()}")).ok
        assert process.returncode is None
    finally:
        await kill_marked(victim.workspace.uid, 0, group=process.pid)
    assert await process.wait() != 0


async def test_i44_planted_settings_run_only_inside_the_domain(project: Project, store: Store) -> None:
    """Each planted program leaves a witness outside of the domain when it runs with the supervisor's rights."""
    agent = await new_agent(store)
    witness = project.root / "witness"
    witness.mkdir()
    evil = agent.workspace.directory / "evil"
    script = f"#!/bin/sh\\ntouch {witness}/$$ 2>/dev/null\\nexec cat\\n"
    planted = await agent.sh(
        f"printf '{script}' > {evil} && chmod +x {evil} && cd {agent.workspace.repository} && mkdir -p hooks && "
        "for hook in pre-commit post-commit reference-transaction pre-push post-checkout update pre-auto-gc; do "
        f"cp {evil} hooks/$hook; done && "
        + " && ".join(
            f"git config {key} {shlex.quote(value)}"
            for key, value in {
                "core.fsmonitor": str(evil),
                "core.sshCommand": str(evil),
                "core.pager": str(evil),
                "core.editor": str(evil),
                "uploadpack.packObjectsHook": str(evil),
                "filter.x.clean": str(evil),
                "filter.x.smudge": str(evil),
                "filter.x.process": str(evil),
                "alias.status": f"!{evil}",
                "alias.upload-pack": f"!{evil}",
                "gpg.program": str(evil),
                "credential.helper": f"!{evil}",
                "diff.external": str(evil),
            }.items()
        )
        + f" && cd {agent.workspace.worktree} && echo '* filter=x diff=x' > .gitattributes && echo work > work.txt"
    )
    assert planted.ok, planted.output
    commit = await agent.workspace.commit_all("work")
    assert commit is not None
    assert await store.take_over(agent.workspace) == commit
    assert (await store.push(commit, agent.workspace.branch)).ok
    await store.diff_stat(agent.workspace.base_commit, commit)
    await agent.workspace.remove()
    if probe_isolation().abi:
        assert not list(witness.iterdir())
    assert git(project.remote, "cat-file", "-t", commit) == "commit"


async def test_i44_destroying_everything_loses_nothing_taken_over(project: Project, store: Store) -> None:
    sibling = await new_agent(store, "maple")
    theirs = await sibling.commits(text="theirs")
    agent = await new_agent(store)
    mine = await agent.commits(text="mine")
    await store.take_over(agent.workspace)
    own = agent.workspace.directory.parent
    wrecked = [own, *([store.rig_dir, project.remote] if probe_isolation().abi else [])]
    await agent.sh(f"rm -rf {' '.join(map(str, wrecked))}")
    with pytest.raises(WorkspaceError):
        await store.take_over(agent.workspace)
    assert await store.work_commit(agent.workspace.uid) == mine
    assert (await store.push(mine, agent.workspace.branch)).ok
    assert await store.take_over(sibling.workspace) == theirs
    again = await new_agent(store, uid=agent.workspace.uid, bead_uid=agent.bead_uid)
    assert await again.workspace.head() == mine


async def test_broken_objects_are_not_taken_over(store: Store) -> None:
    agent = await new_agent(store)
    good = await agent.commits()
    await store.take_over(agent.workspace)
    forged = await agent.sh(
        "tree=$(printf '100644 .git\\0%20s' '' | git hash-object -t tree --literally -w --stdin)"
        " && git reset -q --soft $(git commit-tree $tree -p HEAD -m forged)"
    )
    assert forged.ok, forged.output
    with pytest.raises(WorkspaceError):
        await store.take_over(agent.workspace)
    assert await store.work_commit(agent.workspace.uid) == good


async def test_i35_daemons_end_with_the_command_and_with_the_polecat(store: Store, tmp_path: Path) -> None:
    agent = await new_agent(store)
    await agent.sh(f"(setsid sleep {nap(611)} >/dev/null 2>&1 &)")
    assert not sleeping(611), "what a check leaves behind ends with it"
    uid = agent.workspace.uid
    command = Command(("sh", "-c", daemons(612)), agent.workspace.worktree, {"PATH": os.environ["PATH"]})
    process = await spawn_in_domain(agent.workspace.domain, command, tmp_path / "log", marker=uid)
    await until(lambda: sleeping(*range(612, 618)) == 6)
    ended = await kill_marked(uid, 0.2, group=process.pid, directory=agent.workspace.directory.parent)
    assert ended >= 8
    assert not sleeping(*range(612, 618))
    assert await process.wait() == -9


async def test_without_a_warden_what_hides_is_found_and_who_only_looks_is_left_alone(
    store: Store, tmp_path: Path
) -> None:
    """A person's editor in the worktree, or whoever read a file at that moment, was ended with the agent."""
    agent = await new_agent(store)
    directory = agent.workspace.directory.parent
    onlooker = await asyncio.create_subprocess_exec("sleep", nap(641), cwd=agent.workspace.worktree)
    command = Command(
        ("sh", "-c", f"env -i setsid sleep {nap(642)} & exec sleep {nap(643)}"),
        agent.workspace.worktree,
        dict(os.environ),
    )
    process = await spawn_in_domain(agent.workspace.domain, command, tmp_path / "log", marker=agent.workspace.uid)
    try:
        await until(lambda: sleeping(642) == 1)
        process.kill()
        await until(lambda: not sleeping(643))
        assert sleeping(642) == 1
        assert await kill_marked(agent.workspace.uid, 0, directory=directory) == 1
        assert not sleeping(642)
        assert sleeping(641) == 1
    finally:
        onlooker.kill()
        await onlooker.wait()


@pytest.mark.parametrize("killed", ["program", "supervisor"])
async def test_i35_daemons_end_with_a_program_or_a_supervisor_that_is_killed(store: Store, killed: str) -> None:
    agent = await new_agent(store)
    line = launch_words(agent.workspace.domain, ("sh", "-c", daemons(621)))
    supervisor = await asyncio.create_subprocess_exec("sh", "-c", f"{line} & wait", cwd=agent.workspace.worktree)
    await until(lambda: sleeping(*range(621, 627)) == 6)
    (warden,) = psutil.Process(supervisor.pid).children()
    program = next(each for each in warden.children() if sleeping_below(each) == [nap(626)])
    (program if killed == "program" else supervisor).kill()
    await until(lambda: not sleeping(*range(621, 627)))
    await until(lambda: not warden.is_running() or warden.status() == psutil.STATUS_ZOMBIE)
    await supervisor.wait()


def nap(seconds: int) -> str:
    """What `sleep` is told, so that this run of the tests knows its own from those of another run beside it."""
    return f"{seconds}.{os.getpid():07}"


def daemons(first: int) -> str:
    """A shell script that starts six `sleep` processes, each hidden in another way, and the last for ever."""
    return (
        f"(setsid sleep {nap(first)} &); (setsid sh -c 'sleep {nap(first + 1)} & exec sleep {nap(first + 2)}' &); "
        f"(env -i PATH=$PATH setsid sleep {nap(first + 3)} &); "
        f"(cd / && env -i PATH=$PATH setsid sh -c 'trap \"\" TERM; sleep {nap(first + 4)}; true' "
        "</dev/null >/dev/null 2>&1 &); "
        f"trap '' TERM; while :; do sleep {nap(first + 5)}; done"
    )


def sleeping_below(process: psutil.Process) -> list[str]:
    """How long the children of a process sleep."""
    return [each.cmdline()[1] for each in process.children() if each.name() == "sleep"]


def sleeping(*seconds: int) -> int:
    """How many of the `sleep` processes that take such a nap are alive."""
    count, wanted = 0, {nap(each) for each in seconds}
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        count += line[:1] == ["sleep"] and line[1] in wanted and process.info["status"] != psutil.STATUS_ZOMBIE
    return count


async def test_command_that_takes_too_long_is_ended(store: Store) -> None:
    agent = await new_agent(store)
    done = await agent.sh(f"echo before; sleep {nap(631)}", timeout_seconds=0.5)
    assert done.timed_out and not done.ok and "before" in done.output
    assert not sleeping(631)


async def test_long_output_keeps_its_end(store: Store) -> None:
    agent = await new_agent(store)
    command = Command(("sh", "-c", "seq 1 100000; exit 3"), agent.workspace.worktree, {"PATH": os.environ["PATH"]})
    done = await run_in_domain(agent.workspace.domain, command, marker="u", timeout_seconds=30, output_limit=1000)
    assert done.exit_code == 3 and done.output.endswith("100000\n") and len(done.output) < 1100


async def test_i43_environment_is_exactly_what_was_given(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERVISOR_SECRET", "x")
    agent = await new_agent(store)
    done = await agent.workspace.run("env", 30, {"EXTRA": "1"})
    assert "SUPERVISOR_SECRET" not in done.output and "EXTRA=1" in done.output
    assert f"HOME={agent.workspace.directory.parent}/home" in done.output


async def test_ordinary_tools_work_inside(store: Store) -> None:
    agent = await new_agent(store)
    for command in (
        "python3 -c 'import multiprocessing, tempfile, ssl; multiprocessing.Lock(); tempfile.TemporaryFile()'",
        "bash -c 'echo <(true)'",
        "git stash list && git tag v1 && git gc -q && git rebase -q origin/main && git branch x && git branch -D x",
        "echo a > /dev/null && head -c 4 /dev/urandom | wc -c && ls /proc/self/fd > /dev/null && df . > /dev/null",
    ):
        done = await agent.sh(command)
        assert done.ok, f"{command}: {done.output}"
