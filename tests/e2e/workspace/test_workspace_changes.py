"""What an attempt has changed: as it lies in the worktree, or between two commits of the store."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from polecat_town.domain.landlock import probe_isolation
from polecat_town.errors import WorkspaceError
from polecat_town.git.changes import Changes, of_store, of_worktree
from polecat_town.git.store import Store

from .conftest import Agent, Project, new_agent

MAKE = r"""
printf 'one\ntwo\n' > kept.txt && seq 100 > moved.txt && printf 'a\0b' > data.bin && ln -s kept.txt link
mkdir -p deep && echo gone > deep/gone.txt && git add -A && git commit -qm 'Make files'
"""
CHANGE = r"""
echo three >> kept.txt && git commit -qam "Say 'three'" && git mv moved.txt 'new name.txt' && rm deep/gone.txt
printf 'a\0c' > data.bin && rm link && echo real > link && echo fresh > 'ünadded.txt'
"""


def told(found: Changes) -> dict[str, tuple[str, int | None, int | None]]:
    """Files with status and counts."""
    return {file.path: (file.status, file.additions, file.deletions) for file in found.files}


async def begun(project: Project, store: Store) -> Agent:
    """An agent whose base has files of all kinds, and who has changed them all."""
    first = await new_agent(store, "maple")
    done = await first.sh(MAKE)
    assert done.ok, done.output
    commit = await store.take_over(first.workspace)
    assert commit is not None and (await store.push(commit, first.workspace.branch)).ok
    project_commit = project.remote / "refs" / "heads" / "main"
    project_commit.write_text(f"{commit}\n")
    agent = await new_agent(store)
    done = await agent.sh(CHANGE)
    assert done.ok, done.output
    return agent


async def test_what_is_not_committed_or_added_yet_is_seen_too(project: Project, store: Store) -> None:
    agent = await begun(project, store)
    status = (await agent.sh("git status --porcelain")).output
    found = await of_worktree(agent.workspace, with_files=True)
    assert told(found) == {
        "kept.txt": ("M", 1, 0),
        "new name.txt": ("R", 0, 0),
        "deep/gone.txt": ("D", 0, 1),
        "data.bin": ("M", None, None),
        "link": ("T", 1, 1),
        "ünadded.txt": ("A", 1, 0),
    }
    diffs = {file.path: file.diff for file in found.files}
    assert (
        "+three\n" in diffs["kept.txt"] and "+fresh\n" in diffs["ünadded.txt"] and "-gone\n" in diffs["deep/gone.txt"]
    )
    assert "Binary files" in diffs["data.bin"]
    assert next(file.before for file in found.files if file.status == "R") == "moved.txt"
    assert [commit.subject for commit in found.commits] == ["Say 'three'"]
    assert found.head == found.commits[0].commit == await agent.workspace.head()
    assert (await agent.sh("git status --porcelain")).output == status, "looking has changed what is added"
    assert not list((store.rig_dir / "toast" / "home" / "tmp").glob("changes-*"))
    only_commits = await of_worktree(agent.workspace, with_files=False)
    assert only_commits.commits == found.commits and not only_commits.files


async def test_an_attempt_that_is_over_is_read_from_the_store(project: Project, store: Store) -> None:
    agent = await begun(project, store)
    commit = await agent.workspace.rescue("The rest")
    assert commit is not None
    await agent.workspace.remove()
    found = await of_store(store, agent.workspace.base_commit, commit, with_files=True)
    assert set(told(found)) == {"kept.txt", "new name.txt", "deep/gone.txt", "data.bin", "link", "ünadded.txt"}
    assert [each.subject for each in found.commits] == ["The rest", "Say 'three'"]
    assert not (await of_store(store, agent.workspace.base_commit, commit, with_files=False)).files


async def test_much_is_cut_and_said_to_be(store: Store) -> None:
    agent = await new_agent(store)
    done = await agent.sh(
        "for number in 1 2; do seq 130000 > $number.txt; done; head -c 3000000 /dev/zero | tr '\\0' 'x' > huge.txt"
    )
    assert done.ok, done.output
    found = await of_worktree(agent.workspace, with_files=True)
    assert told(found)["huge.txt"] == ("A", None, None), "a huge file is told as a binary one, and not read"
    assert set(told(found)) == {"1.txt", "2.txt", "huge.txt"} and found.more_diff
    assert len(repr(found)) < 3 << 20, "so much is not even read"


async def test_planted_settings_run_only_inside_the_domain(project: Project, store: Store) -> None:
    agent = await new_agent(store)
    witness, evil = project.root / "witness", agent.workspace.directory / "evil"
    witness.mkdir()
    script = f"#!/bin/sh\\ntouch {witness}/$$ 2>/dev/null\\ntouch {agent.workspace.directory}/ran-$1\\nexec cat\\n"
    settings = {
        "core.fsmonitor": evil,
        "core.pager": evil,
        "diff.external": f"{evil} external",
        "diff.x.command": f"{evil} command",
        "diff.x.textconv": f"{evil} textconv",
        "filter.x.clean": f"{evil} clean",
        "log.showSignature": "true",
        "gpg.program": evil,
        "diff.noprefix": "true",
        "diff.orderFile": "/nowhere",
        "color.ui": "always",
    }
    planted = await agent.sh(
        f"printf '{script}' > {evil} && chmod +x {evil} && "
        + " && ".join(f"git config {key} {shlex.quote(str(value))}" for key, value in settings.items())
        + " && echo '* filter=x diff=x' > .gitattributes && echo changed > README"
    )
    assert planted.ok, planted.output
    found = await of_worktree(agent.workspace, with_files=True)
    assert told(found) == {".gitattributes": ("A", 1, 0), "README": ("M", 1, 1)}
    assert "-hello\n+changed\n" in found.files[1].diff
    ran = {path.name for path in agent.workspace.directory.glob("ran-*")}
    assert not ran & {"ran-external", "ran-command", "ran-textconv"}, ran
    if probe_isolation().abi:
        assert not list(witness.iterdir())


async def test_a_worktree_that_is_none_any_more_is_told(store: Store) -> None:
    agent = await new_agent(store)
    assert (await agent.sh("rm .git")).ok
    with pytest.raises(WorkspaceError, match=r"lost its \.git file"):
        await of_worktree(agent.workspace, with_files=True)


async def test_a_linked_index_leads_nowhere(store: Store, tmp_path: Path) -> None:
    """The index is copied in the domain, so a link in its place shows nothing that the agent could not read."""
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    agent = await new_agent(store)
    assert (await agent.sh(f'index=$(git rev-parse --git-dir)/index && rm "$index" && ln -s {secret} "$index"')).ok
    found = await of_worktree(agent.workspace, with_files=True)
    assert "s3cret" not in repr(found)
