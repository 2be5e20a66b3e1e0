"""From the claim to a running agent: fetch, worktree, process, session, first prompt."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from polecat_api import protocol
from polecat_api.bead import Bead
from polecat_api.conditions import Reason
from polecat_api.polecat import AgentProcess
from polecat_api.rig import Rig
from polecat_kube.resources import BEAD, SECRET
from polecat_town import metrics
from polecat_town.agent import process
from polecat_town.agent.config import OPENAI_COMPATIBLE, AgentSetup
from polecat_town.domain.domain import agent_environment, fresh_home, kill_marked
from polecat_town.endpoint.tokens import unverified_claims
from polecat_town.errors import RepositoryError, TownError
from polecat_town.git.types import Fetched
from polecat_town.git.workspace import Workspace
from polecat_town.life.listening import AgentListener
from polecat_town.life.prompts import first_prompt, resume_prompt
from polecat_town.life.state import Step
from polecat_town.rigs import decode_secret
from polecat_town.streams.events import Kind

if TYPE_CHECKING:
    from polecat_town.life.life import Life

_TOOL_TIMEOUT_MARGIN_SECONDS = 600


class NotCurrentError(TownError):
    """The bead is gone, or has another polecat: this one must not start."""

    reason = Reason.CANCELLED
    retry = False


class SetupFailedError(TownError):
    """The rig's set-up command did not succeed."""

    reason = Reason.SETUP_FAILED
    retry = False


async def fetch(life: Life) -> None:
    """Brings the base branch and earlier work into the store, and checks that the bead wants this polecat."""
    identity = life.identity
    await life.services.rigs.learn_secrets(identity.rig)
    if not life.state.announced:
        life.journal.append(
            Kind.CLAIMED, polecat=identity.object_name, branch=identity.branch, attempt=identity.attempt
        )
        life.update(durable=False, announced=True)
    store = await life.services.rigs.store(identity.rig)
    fetched, _ = await asyncio.gather(store.fetch(identity.base_branch, identity.bead_uid), read_bead(life))
    life.update(step=Step.FETCHED, base_commit=fetched.base_commit, start_commit=_start_of(life, fetched))


def _start_of(life: Life, fetched: Fetched) -> str:
    """Where the branch begins: work that the operator knows of, else what the last attempt has saved, else base."""
    identity = life.identity
    if identity.start_commit:
        return identity.start_commit
    saved = fetched.saved
    # An older one belongs to a run that was brought to an end since.
    if saved is not None and saved.attempt == identity.attempt - 1:
        return saved.commit
    return fetched.base_commit


async def read_bead(life: Life) -> Bead:
    """The bead with its prompt. Raises NotCurrentError unless it is the one that this polecat was made for."""
    identity = life.identity
    found = await life.services.api.get(BEAD, identity.namespace, identity.bead)
    if found is None or found["metadata"]["uid"] != identity.bead_uid:
        raise NotCurrentError(f"the bead {identity.bead} is gone")
    # The operator notes the polecat in the bead before it makes it.
    current = (found.get("status") or {}).get("polecat")
    if current != identity.name:
        raise NotCurrentError(f"the bead {identity.bead} has {current or 'no polecat'} instead of {identity.name}")
    # The rest of its status is not ours, and may be of a newer version.
    life.bead = Bead.model_validate({**found, "status": {}})
    return life.bead


async def open_workspace(life: Life) -> Workspace:
    """The polecat's workspace; only after the fetch."""
    if life.workspace is None:
        identity = life.identity
        try:
            store = await life.services.rigs.store(identity.rig)
        except RepositoryError:
            store = life.services.rigs.store_without_remote(identity.rig)
        life.workspace = Workspace(
            store,
            identity.name,
            identity.uid,
            identity.branch,
            identity.base_branch,
            life.state.base_commit or "",
            kilo=life.services.kilo,
            network=life.services.pod.network,
        )
    return life.workspace


async def make_worktree(life: Life) -> None:
    """Repository, worktree, a clean home, and the rig's set-up command."""
    workspace = await open_workspace(life)
    identity = life.identity
    # After a restart nothing has been fetched by this process.
    await life.services.rigs.learn_secrets(identity.rig)
    if not life.stopped:
        # What an earlier supervisor has left behind must not write into the new worktree.
        await kill_marked(identity.uid, 0.0)
        life.stopped = True
    if not life.state.home_made:
        await fresh_home(workspace.store.rig_dir, identity.name)
        life.update(home_made=True)
    started_at = await workspace.create(life.state.start_commit or life.state.base_commit or "")
    data_dir = life.services.settings.data_dir
    life.live = replace(life.live, worktree=str(workspace.worktree.relative_to(data_dir)))
    rig = find_rig(life)
    if rig.spec.setup_command and not life.state.set_up:
        done = await workspace.run(rig.spec.setup_command, life.services.settings.check_seconds)
        if not done.ok:
            how = "took too long" if done.timed_out else f"ended with {done.exit_code or done.signal}"
            raise SetupFailedError(f"setupCommand {how}: {life.redactor.text(done.output[-2000:])}")
    life.journal.append(
        Kind.WORKTREE, path=life.live.worktree, baseCommit=life.state.base_commit, startCommit=started_at
    )
    life.update(step=Step.WORKTREE, set_up=True)


def find_rig(life: Life) -> Rig:
    """The rig as it is now. Raises TownError while there is none."""
    rig = life.services.rigs.find(life.identity.rig)
    if rig is None:
        raise TownError(f"the rig {life.identity.rig} does not exist")
    return rig


async def start_process(life: Life) -> None:
    """The agent's server, inside the polecat's domain. A second one is never started beside a first."""
    if not life.stopped:
        await drop_agent(life)
    workspace = await open_workspace(life)
    setup = await _setup(life, find_rig(life))
    async with life.services.starting:
        try:
            agent = await _launch(life, workspace, setup)
        except process.AgentStartError as error:
            if error.exit_code is None:
                raise
            # Another program of the machine may have taken the port in between.
            life.log.warning("%s; it is started once more", error)
            agent = await _launch(life, workspace, setup)
    started = AgentProcess(pid=agent.process.pid, start_time=agent.started)
    life.update(step=Step.PROCESS, process=started)
    life.spawn(_watch_exit(life, agent), "exit watch")


async def _launch(life: Life, workspace: Workspace, setup: AgentSetup) -> process.Agent:
    settings = life.services.settings
    identity = life.identity
    agent = await process.start_agent(
        kilo=life.services.kilo,
        domain=workspace.domain.at_work(workspace.network),
        cwd=workspace.worktree,
        base_environment=agent_environment(workspace.store.rig_dir, identity.name, workspace.network),
        setup=setup,
        log_path=settings.log_file(identity.uid),
        marker=identity.uid,
    )
    life.stopped = False
    life.agent = agent
    life.keep_secret(setup.token, agent.password, *([setup.api_key] if setup.api_key else []))
    life.journal.append(Kind.PROCESS, pid=agent.process.pid)
    try:
        await process.wait_ready(agent, settings.start_deadline_seconds)
    except BaseException:
        await drop_agent(life)
        raise
    return agent


async def drop_agent(life: Life, directory: Path | None = None) -> None:
    """Ends the agent's processes, if there are any; the reverse of `start_process`.

    `directory` finds those that scrubbed their environment: it is that of the name.
    """
    agent, life.agent = life.agent, None
    group = agent.process.pid if agent else None
    # Who takes the memory of all others has no time left to end by itself.
    grace = 0.0 if life.must_free_memory else life.services.settings.terminate_seconds
    await kill_marked(life.identity.uid, grace, group=group, directory=directory)
    life.stopped = True
    if agent is not None:
        await agent.close()


async def _watch_exit(life: Life, agent: process.Agent) -> None:
    await agent.process.wait()
    life.wake()


async def _setup(life: Life, rig: Rig) -> AgentSetup:
    spec = life.polecat.spec
    proxied = rig.spec.model.provider == OPENAI_COMPATIBLE
    reference = spec.token_secret_ref.name
    secret = await life.services.api.get(SECRET, life.identity.namespace, reference)
    token = decode_secret(secret).get(protocol.TOKEN_KEY, "")
    if unverified_claims(token).get("sub") != life.identity.uid:
        # The operator makes it right after the Polecat; that of an earlier bearer of the name may still be there.
        raise TownError(f"the Secret {reference} with the agent's token is not there yet")
    return AgentSetup(
        model=rig.spec.model,
        model_name=spec.model,
        token=token,
        tools_url=life.services.tools_url(),
        proxy_url=life.services.model_url(),
        tool_timeout_seconds=life.services.settings.done_wait_seconds + _TOOL_TIMEOUT_MARGIN_SECONDS,
        api_key=None if proxied else await life.services.rigs.api_key(rig),
    )


async def open_session(life: Life) -> None:
    """The session: the earlier one if the agent still has it, else a new one; from now on its events are heard."""
    agent, workspace = need_agent(life), await open_workspace(life)
    session, resumed = life.state.session_id, False
    if session is not None:
        resumed = await agent.client.has_session(workspace.worktree, session)
    if session is None or not resumed:
        session = await agent.client.create_session(workspace.worktree, life.polecat.spec.title)
    life.journal.append(Kind.SESSION, sessionID=session, resumed=resumed)
    listener = AgentListener(life, agent, workspace.worktree, session)
    life.spawn(listener.run(), "listener")
    await listener.connected.wait()
    life.update(step=Step.SESSION, session_id=session, prompted=life.state.prompted and resumed)


async def prompt(life: Life) -> None:
    """Gives the agent the work, or asks it to go on after an interruption."""
    bead = life.bead or await read_bead(life)
    text = (
        resume_prompt(life.state)
        if life.state.prompted
        else first_prompt(life.state, bead.spec.title, bead.spec.prompt)
    )
    await send(life, text)
    life.journal.append(Kind.PROMPT, text=text)
    if not life.state.prompted:
        metrics.START_SECONDS.observe(life.seen().run_seconds)
    life.progress_at = life.checkpoint_at = time.monotonic()
    life.update(step=Step.RUNNING, prompted=True, refusal=None)
    life.report_soon()


async def send(life: Life, text: str) -> None:
    """Gives the agent a message."""
    agent, workspace = need_agent(life), await open_workspace(life)
    life.turn_over.clear()
    await agent.client.prompt(workspace.worktree, life.state.session_id or "", text)


def need_agent(life: Life) -> process.Agent:
    """The running agent. Raises TownError when there is none."""
    if life.agent is None or life.agent.exited:
        raise TownError("the agent's process has ended")
    return life.agent
