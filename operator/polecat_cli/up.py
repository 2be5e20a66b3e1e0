"""`polecat up`: a whole Polecat on this machine, until Ctrl-C."""

import asyncio
from pathlib import Path

import click

from polecat_cli.detach import MUST_BE_READY, detach_command
from polecat_cli.running import Stop, run_command
from polecat_local.cluster import ClusterSettings, LocalCluster
from polecat_local.control_plane import ControlPlaneOptions
from polecat_local.errors import NotReadyError
from polecat_local.follow import Follower
from polecat_local.paths import default_data_dir
from polecat_local.progress import Progress

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the cluster is kept.  [default: $XDG_STATE_HOME/polecat or ~/.local/state/polecat]",
)


@click.command()
@data_dir_option
@click.option("--detach", is_flag=True, help="Go on in the background once it is ready.")
@click.option(
    "--operators",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Operators side by side: one acts, and another one goes on when it ends.",
)
@click.option("--audit-log", is_flag=True, help="Have the API server log who wrote what (logs/audit.log).")
@click.option(MUST_BE_READY, is_flag=True, hidden=True, help="End when the town is not ready in time.")
def up(data_dir: Path | None, detach: bool, operators: int, audit_log: bool, must_be_ready: bool) -> None:
    """Run control plane, operator and one town on this machine.

    Prints a line for each event, the path of the kubeconfig, and `ready`. What was there goes on where it
    was. Ctrl-C ends it: first the agents' work is saved; a second Ctrl-C does not wait for that.
    """

    async def work(stop: Stop) -> int:
        where = (data_dir or default_data_dir()).absolute()
        if detach:
            options = [f"--operators={operators}", *(["--audit-log"] if audit_log else [])]
            return await detach_command(where, options, stop)
        settings = ClusterSettings(
            data_dir=where,
            operators=operators,
            run_dashboard=True,
            control_plane=ControlPlaneOptions(audit_log=audit_log),
        )
        return await _serve(settings, stop, must_be_ready)

    run_command(work)


async def _serve(settings: ClusterSettings, stop: Stop, must_be_ready: bool) -> int:
    cluster = await LocalCluster.prepare(settings, Progress(), _say)
    ready = False
    try:
        await cluster.start()
        click.echo(f"export KUBECONFIG={cluster.kubeconfig}")
        async with Follower(cluster.api(), _say):
            try:
                await cluster.wait_ready()
            except NotReadyError as error:
                if must_be_ready:
                    raise
                # It may become so later: a missing agent program, say, can be put in its place.
                _say(f"{error}; still trying (log: {cluster.data.logs / 'town.log'})")
                await cluster.wait_ready(seconds=None)
            ready = True
            _say("ready")
            # Until a signal: parts that end are started again.
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        # Being told to end is what a running cluster waits for; before that, it is an interruption.
        if not (stop.asked and ready):
            raise
    finally:
        if stop.asked:
            _say("ending; the agents' work is saved first (Ctrl-C again: don't wait)")
        await cluster.stop(stop.hurry)
    return 0


def _say(line: str) -> None:
    click.echo(line)
