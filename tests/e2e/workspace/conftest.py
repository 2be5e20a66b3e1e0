"""A real remote, a store and workspaces in a temporary directory."""

from __future__ import annotations

import os
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from polecat_api.branches import build_branch
from polecat_town.domain.domain import Completed, fresh_home
from polecat_town.git.store import Remote, Store
from polecat_town.git.workspace import Workspace

GIT_ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "User",
    "GIT_AUTHOR_EMAIL": "user@example.com",
    "GIT_COMMITTER_NAME": "User",
    "GIT_COMMITTER_EMAIL": "user@example.com",
}


def git(directory: Path, *arguments: str) -> str:
    """Output of Git, run as the user would."""
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments], env=GIT_ENV, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass
class Project:
    """A user's repository with one commit on `main`, its bare remote, and the town's directory for the rig."""

    root: Path
    remote: Path = field(init=False)
    checkout: Path = field(init=False)

    def __post_init__(self) -> None:
        self.remote, self.checkout = self.root / "remote.git", self.root / "checkout"
        git(self.root, "init", "-q", "--bare", "-b", "main", str(self.remote))
        git(self.root, "init", "-q", "-b", "main", str(self.checkout))
        self.commit("README", "hello\n")

    @property
    def url(self) -> str:
        return f"file://{self.remote}"

    @property
    def rig_dir(self) -> Path:
        return self.root / "data" / "rigs" / "web"

    def commit(self, name: str, text: str, branch: str = "main") -> str:
        """A commit of the user on a branch of the remote."""
        path = self.checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        git(self.checkout, "add", "-A")
        git(self.checkout, "commit", "-q", "-m", f"change {name}")
        git(self.checkout, "push", "-q", "-f", str(self.remote), f"HEAD:refs/heads/{branch}")
        return git(self.checkout, "rev-parse", "HEAD")

    def refs(self) -> dict[str, str]:
        """What the remote has."""
        lines = git(self.remote, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def hook(self, name: str, script: str) -> None:
        """Installs a hook at the remote."""
        path = self.remote / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def store(self) -> Store:
        """A store as a newly started supervisor has it."""
        return Store(self.rig_dir, Remote("web", self.url, "main", "polecat"))


@dataclass(frozen=True)
class Agent:
    """A polecat's workspace with what a test needs to act as the agent in it."""

    workspace: Workspace
    bead_uid: str

    async def sh(self, command: str, timeout_seconds: float = 30.0) -> Completed:
        """What the agent does: runs inside the domain."""
        return await self.workspace.run(command, timeout_seconds)

    async def commits(self, name: str = "work.txt", text: str = "work") -> str:
        """The agent makes a commit; gives its hash."""
        done = await self.sh(f"echo '{text}' >> {name} && git add -A && git commit -q -m '{text}'")
        assert done.ok, done.output
        head = await self.workspace.head()
        assert head is not None
        return head


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def store(project: Project) -> Store:
    return project.store()


async def new_agent(store: Store, name: str = "toast", uid: str | None = None, bead_uid: str | None = None) -> Agent:
    """A polecat with a worktree at the newest base."""
    bead = bead_uid or str(uuid.uuid4())
    fetched = await store.fetch("main", bead)
    branch = str(build_branch("polecat", name, bead))
    workspace = Workspace(store, name, uid or str(uuid.uuid4()), branch, "main", fetched.base_commit)
    await fresh_home(store.rig_dir, name)
    await workspace.create(fetched.saved.commit if fetched.saved else fetched.base_commit)
    return Agent(workspace, bead)


async def work_comes_and_goes(project: Project, store: Store) -> None:
    """The repository is found, an agent's commit is taken over, pushed, and there."""
    state = await store.probe()
    assert state.ok, state
    agent = await new_agent(store)
    commit = await agent.commits()
    await store.take_over(agent.workspace)
    assert (await store.push(commit, agent.workspace.branch)).ok
    assert project.refs()[f"refs/heads/{agent.workspace.branch}"] == commit
