"""Whatever a kill or an agent leaves behind: the next start works, and no commit is lost."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from pathlib import Path

import pytest

from polecat_api.branches import work_ref
from polecat_town.domain.domain import fresh_home
from polecat_town.errors import WorkspaceError
from polecat_town.git.store import Store
from polecat_town.git.workspace import Workspace

from .conftest import Agent, Project, git, new_agent


def reborn(project: Project, agent: Agent) -> Workspace:
    """The same polecat's workspace as a supervisor sees it after its own restart."""
    old = agent.workspace
    return Workspace(project.store(), old.name, old.uid, old.branch, old.base_branch, old.base_commit)


def half_made(workspace: Workspace) -> None:
    shutil.rmtree(workspace.worktree)
    shutil.rmtree(workspace.repository / "worktrees")


async def leave(agent: Agent, directory: str) -> None:
    """Brings the directory of a polecat into a state that was met in the wild."""
    workspace = agent.workspace
    if directory == "none":
        shutil.rmtree(workspace.directory)
    elif directory == "dirty":
        (workspace.worktree / "dirty.txt").write_text("not committed")
    elif directory == "locked":
        await agent.sh(f"git worktree lock {workspace.worktree}")
        (workspace.repository / "worktrees/worktree/index.lock").touch()
        (workspace.repository / "worktrees/worktree/HEAD.lock").touch()
        (workspace.repository / f"refs/heads/{workspace.branch}.lock").touch()
    elif directory == "half-made":
        half_made(workspace)
    elif directory == "no-git-file":
        (workspace.worktree / ".git").unlink()
    elif directory == "no-worktree":
        shutil.rmtree(workspace.worktree)
    elif directory == "no-alternates":
        (workspace.repository / "objects/info/alternates").unlink()
    elif directory == "empty":
        shutil.rmtree(workspace.directory)
        workspace.directory.mkdir()
    elif directory == "file":
        shutil.rmtree(workspace.directory)
        workspace.directory.write_text("in the way")
    elif directory == "read-only":
        await agent.sh("mkdir deep && touch deep/file && chmod 000 deep")


DIRECTORIES = (
    "none", "clean", "dirty", "locked", "half-made", "no-git-file", "no-worktree", "no-alternates", "empty", "file",
    "read-only",
)  # fmt: skip


@pytest.mark.parametrize("directory", DIRECTORIES)
@pytest.mark.parametrize("in_store", ["none", "same", "ahead", "diverged"])
async def test_i27_every_leftover_starts_and_keeps_all_commits(
    project: Project, store: Store, in_store: str, directory: str
) -> None:
    agent = await new_agent(store)
    commits = {await agent.commits(text="first")}
    if in_store != "none":
        await store.take_over(agent.workspace)
    if in_store == "ahead":
        commits.add(await agent.commits(text="second"))
        await store.take_over(agent.workspace)
        await agent.sh("git reset -q --hard HEAD^")
    if in_store == "diverged":
        await agent.sh("git reset -q --hard HEAD^")
        commits.add(await agent.commits(text="other"))
    gone = directory in ("none", "empty", "file")  # with the directory, commits that nobody took over are gone
    before = set((await store.refs.list("refs/polecat/")).values()) if gone else commits
    await leave(agent, directory)

    workspace = reborn(project, agent)
    head = await workspace.create(workspace.base_commit)

    state = await workspace.state()
    assert state.head == head
    if directory in ("clean", "dirty", "locked", "no-git-file", "no-alternates"):
        assert state.branch == workspace.branch
    for commit in before & commits:
        await _assert_kept(store, commit)
    assert (await workspace.run("echo more > more.txt && git add more.txt && git commit -q -m more", 30)).ok
    assert await workspace.store.take_over(workspace) == await workspace.head()
    if directory == "dirty" and in_store != "ahead":
        assert (workspace.worktree / "dirty.txt").read_text() == "not committed"


async def _assert_kept(store: Store, commit: str) -> None:
    tips = (await store.refs.list("refs/polecat/")).values()
    assert await store.refs.is_within(commit, tips), f"{commit} is in no ref of the store"


async def test_create_twice_changes_nothing(project: Project, store: Store) -> None:
    agent = await new_agent(store)
    commit = await agent.commits()
    (agent.workspace.worktree / "open.txt").write_text("edited")
    assert await reborn(project, agent).create(agent.workspace.base_commit) == commit
    assert (agent.workspace.worktree / "open.txt").read_text() == "edited"


async def test_kill_while_files_are_written_is_no_change_of_the_agent(project: Project, store: Store) -> None:
    agent = await new_agent(store)
    (agent.workspace.repository / "created").unlink()
    (agent.workspace.worktree / "README").unlink()
    workspace = reborn(project, agent)
    await workspace.create(workspace.base_commit)
    assert not await workspace.is_dirty() and (workspace.worktree / "README").exists()


async def test_work_of_another_polecat_under_the_name_is_taken_over_first(project: Project, store: Store) -> None:
    old = await new_agent(store)
    commit = await old.commits()
    (old.workspace.worktree / "open.txt").write_text("edited, not committed")
    new = await new_agent(project.store())
    assert not old.workspace.directory.exists()
    assert (await new.workspace.state()).head == new.workspace.base_commit
    rescued = await store.refs.get(work_ref(old.workspace.directory.name))
    assert rescued is not None and await store.refs.is_ancestor(commit, rescued)
    assert "open.txt" in git(store.git_dir, "ls-tree", "--name-only", rescued)


async def test_unreadable_repository_is_moved_aside_not_deleted(project: Project, store: Store) -> None:
    agent = await new_agent(store)
    await agent.commits()
    for pack in (agent.workspace.repository / "objects").glob("??/*"):
        pack.chmod(0o600)
        pack.write_bytes(b"rubbish")
    workspace = reborn(project, agent)
    assert await workspace.create(workspace.base_commit) == workspace.base_commit
    assert list((store.rig_dir / ".lost").glob("toast-*/worktree/work.txt"))


@pytest.mark.parametrize("head", ["", "0" * 40])
async def test_a_worktree_that_a_kill_left_empty_is_no_lost_work(project: Project, store: Store, head: str) -> None:
    """`git worktree add` had just begun: what it leaves was put aside as if somebody's work were in it."""
    agent = await new_agent(store)
    for path in agent.workspace.worktree.iterdir():
        if path.name != ".git":
            path.unlink()
    inside = agent.workspace.repository / "worktrees" / "worktree"
    (inside / "HEAD").write_text(head)
    (inside / "commondir").write_text("../..\n" if head else "")
    (inside / "index").unlink()
    workspace = reborn(project, agent)
    assert await workspace.create(agent.workspace.base_commit) == agent.workspace.base_commit
    assert (workspace.worktree / "README").exists()
    assert not (store.rig_dir / ".lost").exists()


@pytest.mark.parametrize("wreck", ["committed", "dirty", "no-git-file", "half-made"])
async def test_i23_removing_takes_over_what_nobody_has_yet(store: Store, wreck: str) -> None:
    agent = await new_agent(store)
    commit = await agent.commits()
    await leave(agent, wreck)
    await agent.workspace.remove()
    assert not agent.workspace.directory.exists()
    await _assert_kept(store, commit)
    await agent.workspace.remove()


@pytest.mark.parametrize("wreck", ["clean", "dirty", "no-git-file", "half-made", "locked"])
async def test_rescue_commits_and_takes_over(store: Store, wreck: str) -> None:
    agent = await new_agent(store)
    await agent.commits()
    (agent.workspace.worktree / "open.txt").write_text("edited")
    await leave(agent, wreck)
    rescued = await agent.workspace.rescue("Unfinished work")
    assert rescued is not None and rescued == await store.work_commit(agent.workspace.uid)
    files = git(store.git_dir, "ls-tree", "--name-only", rescued).splitlines()
    assert "work.txt" in files and ("open.txt" in files) == (wreck != "half-made")


async def test_unknown_commits_are_refused_with_a_sentence(store: Store) -> None:
    agent = await new_agent(store)
    missing = "0123456789" * 4
    workspace = Workspace(store, "maple", str(uuid.uuid4()), "polecat/maple/abc123", "main", missing)
    with pytest.raises(WorkspaceError, match="fetch it first"):
        await workspace.create(agent.workspace.base_commit)


@pytest.mark.parametrize("wreck", ["git-file", "worktree", "repository", "other-repository"])
async def test_i26_nothing_is_written_elsewhere_when_the_worktree_is_gone(store: Store, wreck: str) -> None:
    agent = await new_agent(store)
    parent = agent.workspace.directory.parent
    # a repository around it, into which Git would fall
    assert (await agent.sh(f"git init -q {parent} && git init -q {agent.workspace.directory}")).ok
    (agent.workspace.worktree / "precious.txt").write_text("x")
    if wreck == "git-file":
        (agent.workspace.worktree / ".git").unlink()
    elif wreck == "worktree":
        shutil.rmtree(agent.workspace.worktree)
    elif wreck == "repository":
        shutil.rmtree(agent.workspace.repository)
    else:
        (agent.workspace.worktree / ".git").write_text(f"gitdir: {parent}/.git\n")
    with pytest.raises(WorkspaceError):
        await agent.workspace.commit_all("should not happen")
    with pytest.raises(WorkspaceError):
        await store.take_over(agent.workspace)
    for around in (parent, agent.workspace.directory):
        assert not list((around / ".git" / "refs" / "heads").iterdir())
        assert not (around / ".git" / "index").exists()


async def test_i29_twenty_at_once_with_stale_locks(project: Project, store: Store) -> None:
    await store.open()
    for name in ("packed-refs.lock", "config.lock", "refs/heads/main.lock"):
        path = store.git_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    restarted = project.store()
    project.commit("more.txt", "more")

    async def start(number: int) -> Agent:
        agent = await new_agent(restarted, f"toast-{number}")
        await agent.commits(text=f"work of {number}")
        return agent

    agents = await asyncio.gather(*(start(number) for number in range(20)))
    taken = await asyncio.gather(*(restarted.take_over(agent.workspace) for agent in agents))
    pushed = await asyncio.gather(
        *(restarted.push(commit or "", agent.workspace.branch) for commit, agent in zip(taken, agents, strict=True))
    )
    assert all(result.ok for result in pushed), pushed
    assert len({ref for ref in project.refs() if ref.startswith("refs/heads/polecat/")}) == 20


async def test_fetches_of_the_same_moment_are_one(
    project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.fetch("main", "first")
    project.commit("feature.txt", "f", branch="feature/x")
    trace = project.root / "trace"
    wrapper = project.root / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {trace}\nexec {shutil.which("git")} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=":")
    fetched = await asyncio.gather(
        *(store.fetch("main", str(number)) for number in range(10)),
        *(store.fetch("feature/x", str(number)) for number in range(10)),
    )
    assert len({item.base_commit for item in fetched}) == 2
    lines = trace.read_text().splitlines()
    assert sum(" ls-remote " in line for line in lines) == 1 and sum(" fetch " in line for line in lines) == 1


async def test_home_is_made_anew(store: Store) -> None:
    agent = await new_agent(store)
    assert (await agent.sh("mkdir -p ~/.config/x && echo secret > ~/.config/x/y && chmod 000 ~/.config/x")).ok
    home = await fresh_home(store.rig_dir, "toast")
    assert not (home / ".config" / "x").exists() and (home / "tmp").is_dir()


async def test_a_link_in_place_of_the_directory_leads_nowhere(project: Project, store: Store, tmp_path: Path) -> None:
    agent = await new_agent(store)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    uid = str(uuid.uuid4())
    link = agent.workspace.directory.parent / uid[:8]
    assert (await agent.sh(f"ln -s {precious} {link}; rm -rf ~; ln -s {precious} ~")).ok
    await new_agent(project.store(), uid=uid)
    assert [path.name for path in precious.iterdir()] == ["file"]
