"""The command itself: chooses the cluster, prints what is found."""

from __future__ import annotations

from pathlib import Path

import click

from polecat_cli.doctor.checks import find
from polecat_cli.doctor.gather import gather
from polecat_cli.doctor.watch import watch
from polecat_cli.running import Stop, run_command
from polecat_cli.up import data_dir_option
from polecat_kube.api import KubeApi
from polecat_kube.connection import Connection, connect, from_kubeconfig, kubeconfig_path
from polecat_kube.errors import ApiError, ConfigurationError, ForbiddenError
from polecat_local.datadir import DataDir
from polecat_local.errors import LocalError
from polecat_local.paths import default_data_dir

FOUND = 1
CANNOT_LOOK = 2
TIMEOUT_SECONDS = 10.0


@click.command()
@data_dir_option
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The kubeconfig to use.  [default: as kubectl]",
)
@click.option("-n", "--namespace", help="Look at objects of this namespace only.  [default: all]")
@click.option(
    "--watch",
    "watches",
    is_flag=True,
    help="Go on until interrupted, and tell at once when a rule that must always hold is broken.",
)
def doctor(data_dir: Path | None, kubeconfig: Path | None, namespace: str | None, watches: bool) -> None:
    """Look once for what is wrong, and say what to do about it.

    One line for each finding. With --watch: each broken rule with the history of the objects concerned.
    Exit code 0: nothing found; 1: findings; 2: the cluster can't be looked at.
    """

    async def work(stop: Stop) -> int:
        try:
            connection, data = choose(data_dir, kubeconfig)
            if watches:
                return await watch(connection, data, namespace, stop)
            return await _look(connection, data, namespace)
        except ForbiddenError as error:
            hint = "" if namespace else "; if you may see one namespace only, give it with -n"
            click.echo(f"can't look: {error}{hint}", err=True)
            return CANNOT_LOOK
        except (ApiError, ConfigurationError, LocalError) as error:
            click.echo(f"can't look: {error}", err=True)
            return CANNOT_LOOK

    run_command(work)


def choose(data_dir: Path | None, kubeconfig: Path | None) -> tuple[Connection, DataDir | None]:
    """The cluster to look at, and the data directory if it is an embedded one that runs here.

    Raises ConfigurationError.
    """
    data = DataDir(data_dir or default_data_dir())
    if data_dir is not None:
        if data.runner() is None:
            raise ConfigurationError(f"nothing runs on {data.path}; start it with `polecat up --data-dir {data.path}`")
        return from_kubeconfig(kubeconfig or data.kubeconfig), data
    runs = data.runner() is not None
    if runs and kubeconfig is None and not kubeconfig_path().exists():
        return from_kubeconfig(data.kubeconfig), data
    connection = connect(kubeconfig)
    embedded = runs and from_kubeconfig(data.kubeconfig).server == connection.server
    return connection, data if embedded else None


async def _look(connection: Connection, data: DataDir | None, namespace: str | None) -> int:
    async with KubeApi(connection, timeout_seconds=TIMEOUT_SECONDS) as api:
        facts = await gather(api, namespace, data)
    for sentence in facts.unknown:
        click.echo(f"not looked at: {' '.join(sentence.split())}", err=True)
    findings = find(facts)
    for finding in findings:
        click.echo(str(finding))
    if findings:
        return FOUND
    click.echo(f"nothing found; the API server at {connection.server} is {facts.version}")
    return 0
