"""From a worktree to the remote: what arrives, what is said when it doesn't, and that nothing is lost."""

from __future__ import annotations

import uuid

import pytest

from polecat_api.branches import WORK, saved_ref, work_ref
from polecat_api.conditions import Reason
from polecat_town.errors import RepositoryError
from polecat_town.git.store import Store
from polecat_town.git.workspace import Workspace

from .conftest import Project, git, new_agent


async def test_work_arrives_on_the_remote(project: Project, store: Store) -> None:
    agent = await new_agent(store)
    commit = await agent.commits()
    assert await store.take_over(agent.workspace) == commit
    pushed = await store.push(commit, agent.workspace.branch)
    assert pushed.ok, pushed
    assert project.refs()[f"refs/heads/{agent.workspace.branch}"] == commit
    stat = await store.diff_stat(agent.workspace.base_commit, commit)
    assert (stat.commits, stat.files_changed, stat.insertions, stat.deletions) == (1, 1, 1, 0)
    assert git(project.remote, "log", "-1", "--format=%an <%ae>", commit) == "Toast (polecat) <toast@polecat.dev>"
    assert await store.release(agent.workspace.uid)
    assert await store.work_commit(agent.workspace.uid) is None
    await agent.workspace.remove()
    assert not agent.workspace.directory.exists()


async def test_worktree_is_a_real_one_on_the_polecats_branch(store: Store) -> None:
    agent = await new_agent(store)
    state = await agent.workspace.state()
    assert (state.branch, state.head, state.dirty) == (agent.workspace.branch, agent.workspace.base_commit, False)
    listed = await agent.sh("git worktree list && git log --oneline origin/main && cat README")
    assert listed.ok and str(agent.workspace.worktree) in listed.output and "hello" in listed.output


async def test_no_commit_is_no_work(store: Store) -> None:
    agent = await new_agent(store)
    assert await store.take_over(agent.workspace) is None
    assert await store.work_commit(agent.workspace.uid) is None


async def test_i25_dirty_tree_and_wrong_branch_are_seen(store: Store) -> None:
    agent = await new_agent(store)
    await agent.sh("echo x > new.txt")
    assert "?? new.txt" in (await agent.workspace.state()).status
    await agent.sh("git checkout -q -b elsewhere")
    assert (await agent.workspace.state()).branch == "elsewhere"


async def test_commit_all_takes_everything_and_runs_no_hook(store: Store) -> None:
    agent = await new_agent(store)
    hook = "$(git rev-parse --git-common-dir)/hooks"
    planted = await agent.sh(
        f"mkdir -p {hook} && printf '#!/bin/sh\\ntouch ../ran\\nexit 1\\n' > {hook}/pre-commit && chmod +x {hook}/*"
        " && git config commit.gpgsign true && echo a > a.txt && echo b >> README"
    )
    assert planted.ok, planted.output
    commit = await agent.workspace.commit_all("Unfinished work")
    assert commit == await agent.workspace.head()
    assert not await agent.workspace.is_dirty()
    assert await agent.workspace.commit_all("again") is None
    assert not (agent.workspace.directory / "ran").exists()


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
async def test_i24_remote_that_rejects(project: Project, store: Store, hook: str) -> None:
    agent = await new_agent(store)
    commit = await agent.commits()
    await store.take_over(agent.workspace)
    project.hook(hook, "echo 'branch names must start with feature/' >&2; exit 1")
    pushed = await store.push(commit, agent.workspace.branch)
    assert pushed.kind == "rejected" and "must start with feature/" in pushed.message
    assert await store.work_commit(agent.workspace.uid) == commit
    assert not await store.release(agent.workspace.uid), "work that is not on the remote is kept"


async def test_i24_remote_that_accepts_and_drops_the_ref(project: Project, store: Store) -> None:
    agent = await new_agent(store)
    commit = await agent.commits()
    await store.take_over(agent.workspace)
    project.hook("post-receive", f"git update-ref -d refs/heads/{agent.workspace.branch}")
    pushed = await store.push(commit, agent.workspace.branch)
    assert pushed.kind == "lied" and pushed.remote_commit is None
    assert not await store.is_on_remote(commit)


async def test_i24_remote_that_is_away_and_returns(project: Project, store: Store) -> None:
    agent = await new_agent(store)
    commit = await agent.commits()
    await store.take_over(agent.workspace)
    away = project.remote.rename(project.root / "away.git")
    assert (await store.push(commit, agent.workspace.branch)).kind == "unreachable"
    saved = await store.save(agent.bead_uid, 1, commit)
    assert not saved.on_remote and saved.message
    assert (await store.probe()).reason is Reason.REPOSITORY_UNREACHABLE
    with pytest.raises(RepositoryError):
        await store.fetch("main", agent.bead_uid)
    away.rename(project.remote)
    again = await store.save(agent.bead_uid, 1, commit)
    assert again.on_remote and again.ref == saved.ref
    assert (await store.probe()).ok


async def test_saved_work_is_found_by_the_next_attempt_also_of_another_town(project: Project, store: Store) -> None:
    agent = await new_agent(store)
    commit = await agent.commits()
    await store.take_over(agent.workspace)
    saved = await store.save(agent.bead_uid, 1, commit)
    assert saved.ref == saved_ref(agent.bead_uid, 1) and project.refs()[saved.ref] == commit
    elsewhere = Store(project.root / "other" / "rigs" / "web", store.remote)
    fetched = await elsewhere.fetch("main", agent.bead_uid)
    assert fetched.saved is not None and (fetched.saved.commit, fetched.saved.attempt) == (commit, 1)
    workspace = Workspace(elsewhere, "maple", str(uuid.uuid4()), "polecat/maple/abc123", "main", fetched.base_commit)
    assert await workspace.create(fetched.saved.commit) == commit
    assert (workspace.worktree / "work.txt").exists()


async def test_saved_ref_is_never_overwritten_by_unrelated_work(project: Project, store: Store) -> None:
    first = await new_agent(store)
    one = await first.commits(text="one")
    second = await new_agent(store, "maple", bead_uid=first.bead_uid)
    two = await second.commits(text="two")
    await store.take_over(first.workspace)
    await store.take_over(second.workspace)
    assert (await store.save(first.bead_uid, 1, one)).ref == saved_ref(first.bead_uid, 1)
    other = await store.save(first.bead_uid, 1, two)
    assert other.ref == saved_ref(first.bead_uid, 1) + "-2" and other.on_remote
    more = await second.commits(text="three")
    await store.take_over(second.workspace)
    assert (await store.save(first.bead_uid, 1, more)).ref == other.ref, "work that builds on it moves it forward"
    assert set(project.refs().values()) >= {one, more}
    fetched = await store.fetch("main", first.bead_uid)
    assert fetched.saved is not None and fetched.saved.commit == more


@pytest.mark.parametrize("at_remote", ["none", "same", "behind", "ahead", "diverged"])
async def test_i27_branch_of_an_earlier_attempt_on_the_remote(project: Project, store: Store, at_remote: str) -> None:
    agent = await new_agent(store)
    ref = f"refs/heads/{agent.workspace.branch}"
    first = await agent.commits(text="first")
    await store.take_over(agent.workspace)
    there = {"none": None, "same": first, "behind": agent.workspace.base_commit}.get(at_remote)
    commit = first
    if at_remote in ("ahead", "diverged"):
        there = await agent.commits(text="second")
        await store.take_over(agent.workspace)
        commit = first
        if at_remote == "diverged":
            await agent.sh(f"git reset -q --hard {first}")
            commit = await agent.commits(text="other")
            await store.take_over(agent.workspace)
    if there is not None:
        assert (await store.push(there, agent.workspace.branch)).ok
    pushed = await store.push(commit, agent.workspace.branch)
    assert pushed.ok, pushed
    refs = project.refs()
    assert refs[ref] == commit
    if at_remote in ("ahead", "diverged"):
        assert any(name.startswith("refs/polecat/replaced/") and tip == there for name, tip in refs.items())


async def test_probe_says_what_is_wrong_and_recovers(project: Project, store: Store) -> None:
    assert (await store.probe()).ok
    assert not [ref for ref in project.refs() if "probe" in ref], "a dry run leaves nothing"
    git(project.remote, "branch", "polecat", "main")
    state = await store.probe()
    assert state.reason is Reason.BRANCH_BLOCKED and "polecat" in state.message
    git(project.remote, "branch", "-D", "polecat")
    git(project.remote, "branch", "polecat/toast", "main")
    assert (await store.probe()).reason is Reason.BRANCH_BLOCKED
    git(project.remote, "branch", "-D", "polecat/toast")
    git(project.remote, "branch", "polecat/notes", "main")
    assert (await store.probe()).ok, "only names of the pool are in the way"
    git(project.remote, "branch", "-m", "main", "trunk")
    assert (await store.probe()).reason is Reason.BRANCH_MISSING
    with pytest.raises(RepositoryError, match="no branch main"):
        await store.fetch("main", "bead")


async def test_agents_rewrite_of_history_keeps_the_old_commits(store: Store) -> None:
    agent = await new_agent(store)
    old = await agent.commits(text="old")
    await store.take_over(agent.workspace)
    await agent.sh("git commit -q --amend -m new")
    new = await store.take_over(agent.workspace)
    assert new not in (None, old)
    assert old in (await store.refs.list("refs/polecat/kept/")).values()
    assert (await store.refs.list(WORK)) == {work_ref(agent.workspace.uid): new}


async def test_other_branches_and_stashes_are_taken_over_too(store: Store) -> None:
    agent = await new_agent(store)
    await agent.commits()
    done = await agent.sh(
        "git checkout -q -b idea && echo i > idea && git add -A && git commit -q -m idea && git checkout -q -"
        " && echo s >> README && git stash -q && git rev-parse idea stash"
    )
    idea, stash = done.output.split()
    await store.take_over(agent.workspace)
    assert {idea, stash} <= set((await store.refs.list("refs/polecat/kept/")).values())
