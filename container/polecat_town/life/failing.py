"""What becomes of an action that did not succeed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from polecat_api.conditions import Reason
from polecat_kube.api import KubeApi
from polecat_kube.events import post_event
from polecat_kube.resources import POLECAT
from polecat_town.agent.process import AgentStartError
from polecat_town.errors import TownError
from polecat_town.life.state import End, Identity, LifeState, Step


def failure_of(state: LifeState, error: BaseException) -> End:
    """The end of an attempt that can't go on."""
    reason = Reason.PUBLISH_FAILED if state.step is Step.PUBLISHING else Reason.START_FAILED
    if isinstance(error, TownError) and error.reason in (Reason.SETUP_FAILED, Reason.CANCELLED):
        reason = error.reason
    exit_code = error.exit_code if isinstance(error, AgentStartError) else None
    signal = error.signal if isinstance(error, AgentStartError) else None
    return End(reason=reason, message=str(error)[:4096], exit_code=exit_code, signal=signal)


async def post_trouble(api: KubeApi, identity: Identity, message: str) -> None:
    """A Warning Event about a polecat whose work could not be made safe yet."""
    await post_event(
        api,
        POLECAT,
        identity.namespace,
        identity.object_name,
        identity.uid,
        type_="Warning",
        reason="SaveFailed",
        message=message,
        component="polecat-town",
        now=datetime.now(UTC),
    )


async def until_over(task: asyncio.Future[None]) -> None:
    """Waits for the end of a task. A cancellation that comes meanwhile is passed on afterwards, never lost."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
