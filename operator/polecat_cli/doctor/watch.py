"""`polecat doctor --watch`: the oracle on a running system, until it is interrupted."""

from __future__ import annotations

import asyncio
import logging

import click

from polecat_cli.running import Stop
from polecat_kube.api import KubeApi
from polecat_kube.connection import Connection
from polecat_kube.resources import BEAD, POLECAT, RIG
from polecat_local.datadir import DataDir
from polecat_oracle.oracle import BrokenRulesError, Oracle
from polecat_oracle.view import RULES, Violation

BROKEN = 1
UNSEEN = {
    "O1": "needs this machine's processes",
    "O4": "needs the town's volume",
    "O7": "in part: that attempts never fall is seen; by what they grow stands in the town's journals",
    "O8": "in part: whose work a bead takes is seen; late calls and pushes are not",
}
"""What can't be seen where there is no data directory, and why."""


async def watch(connection: Connection, data: DataDir | None, namespace: str | None, stop: Stop) -> int:
    """Prints each broken rule with the history of the objects concerned; gives the exit code.

    Raises ApiError when the objects can't be seen at the start; later the API server is waited for.
    """
    # Only broken rules are told; that the API server is away now and then is none.
    logging.getLogger("polecat_kube").addHandler(logging.NullHandler())
    async with KubeApi(connection, manager="polecat-doctor") as api:
        oracle = Oracle(api, [data.town] if data else [], namespace=namespace, tell=_tell)
        for kind in (BEAD, POLECAT, RIG):
            # A watch tries for ever; what this user may not see is found out here.
            await api.raw(f"{kind.path(namespace)}?limit=1")
        for rule, why in {} if data else UNSEEN.items():
            click.echo(f"not looked at: {rule}, {RULES[rule]} ({why})", err=True)
        try:
            async with oracle:
                where = f" and {data.path}" if data else ""
                click.echo(f"watching {connection.server}{where} until interrupted", err=True)
                await _until_stopped(stop)
        except BrokenRulesError:
            click.echo(f"{len(oracle.violations)} violations in {oracle.looks} looks", err=True)
            return BROKEN
    click.echo(f"no rule broke in {oracle.looks} looks", err=True)
    return 0


async def _until_stopped(stop: Stop) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not stop.asked:
            raise


def _tell(violation: Violation) -> None:
    click.echo(f"{violation.rule} ({RULES[violation.rule]}) broke: {violation.told()}")
