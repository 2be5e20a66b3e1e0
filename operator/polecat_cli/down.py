"""`polecat down`: ends what `polecat up` has started."""

import asyncio
from pathlib import Path

import click
import psutil

from polecat_cli.running import Stop, run_command
from polecat_cli.up import data_dir_option
from polecat_local.datadir import DataDir
from polecat_local.paths import default_data_dir

POLL_SECONDS = 0.1


@click.command()
@data_dir_option
def down(data_dir: Path | None) -> None:
    """End what `polecat up` has started, and wait for it. The agents' work is saved first."""

    async def work(stop: Stop) -> int:
        return await _end(DataDir(data_dir or default_data_dir()), stop)

    run_command(work)


async def _end(data: DataDir, stop: Stop) -> int:
    runner = data.runner()
    process = runner.process() if runner is not None else None
    if runner is None or process is None:
        click.echo(f"nothing runs on {data.path}")
        return 0
    try:
        process.terminate()
        click.echo(f"ending process {process.pid} …")
        while runner.process() is not None:  # noqa: ASYNC110 - not our child: nothing tells us
            await asyncio.sleep(POLL_SECONDS)
    except psutil.NoSuchProcess:
        pass
    click.echo("down")
    return 0
