"""`polecat status`: what runs, and what it works on."""

from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from polecat_cli.running import Stop, run_command
from polecat_cli.up import data_dir_option
from polecat_kube.api import KubeApi
from polecat_kube.connection import from_kubeconfig
from polecat_local.dashboard import dashboard_url
from polecat_local.datadir import DataDir
from polecat_local.paths import default_data_dir
from polecat_local.report import Table, export_line, object_tables, process_table

NOT_RUNNING = 3
"""Exit code when nothing runs, as `systemctl status` has it."""


@click.command()
@data_dir_option
def status(data_dir: Path | None) -> None:
    """Show processes, towns, rigs, beads and polecats. Exit code 3 when nothing runs."""

    async def work(stop: Stop) -> int:
        return await _show(DataDir(data_dir or default_data_dir()))

    run_command(work)


async def _show(data: DataDir) -> int:
    processes = process_table(data, version("polecat"))
    if not processes.rows:
        click.echo(f"nothing runs on {data.path}")
        return NOT_RUNNING
    console = Console()
    console.print(_rich(processes))
    async with KubeApi(from_kubeconfig(data.kubeconfig), timeout_seconds=10.0) as api:
        for table in await object_tables(api):
            console.print(_rich(table))
    if (url := dashboard_url(data)) is not None:
        click.echo(f"dashboard {url} (`polecat dashboard` opens it, signed in)")
    click.echo(export_line(data))
    return 0


def _rich(table: Table) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left", box=None, header_style="bold")
    for column in table.columns:
        shown.add_column(column, overflow="fold")
    for row in table.rows:
        # As text: what users write must not be read as markup.
        shown.add_row(*(Text(cell) for cell in row))
    if not table.rows:
        shown.add_row(*("—" if number == 0 else "" for number in range(len(table.columns))))
    return shown
