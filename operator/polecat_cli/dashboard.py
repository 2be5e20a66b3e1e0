"""`polecat dashboard`: the page of the running cluster, already signed in."""

from pathlib import Path

import click

from polecat_cli.running import Stop, run_command
from polecat_cli.up import data_dir_option
from polecat_local.dashboard import link_file, make_link
from polecat_local.datadir import DataDir
from polecat_local.errors import LocalError
from polecat_local.paths import default_data_dir


@click.command()
@data_dir_option
@click.option("--no-open", is_flag=True, help="Print the link only.")
def dashboard(data_dir: Path | None, no_open: bool) -> None:
    """Open the dashboard of the running cluster in a browser, already signed in.

    The link that is printed works once, for a minute; call again for another one.
    """

    async def work(stop: Stop) -> int:
        data = DataDir((data_dir or default_data_dir()).absolute())
        if data.runner() is None:
            raise LocalError(f"nothing runs on {data.path}; start it with `polecat up`")
        link = await make_link(data)
        click.echo(link)
        if not no_open:
            click.launch(link_file(data, link).as_uri())
        return 0

    run_command(work)
