"""`polecat setup`: everything that is fetched or built, ahead of time."""

import sys
from pathlib import Path

import click

from polecat_cli.running import Stop, run_command
from polecat_local.binaries import kubectl_on_path, link_kubectl
from polecat_local.cache import Cache
from polecat_local.kilo import kilo_binary
from polecat_local.progress import Progress
from polecat_local.providers import control_plane_binaries


@click.command()
def setup() -> None:
    """Download or build all that is needed, so that later starts are quick.

    The control plane's programs and the Kilo CLI go into the cache; kubectl is put beside polecat when there
    is none.
    """
    run_command(_setup)


async def _setup(stop: Stop) -> int:
    cache, progress = Cache(), Progress()
    binaries = await control_plane_binaries(cache, progress)
    click.echo(f"control plane: {binaries.source}")
    kilo = await kilo_binary(cache, progress)
    click.echo(f"Kilo CLI: {kilo}")
    found = kubectl_on_path()
    if found is None:
        found = link_kubectl(binaries.kubectl, Path(sys.executable).parent)
        click.echo(f"kubectl: {found} (put there, since there was none on PATH)")
    else:
        click.echo(f"kubectl: {found}")
    return 0
