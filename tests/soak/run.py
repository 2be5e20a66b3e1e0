"""`make soak [MINUTES=…] [SEED=…]`: exit code 1 when a rule broke, or something was lost or left over."""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from soak.driver import soak
from soak.figures import print_figures


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description="Random work and faults, watched by the oracle.")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=None, help="The same seed makes the same plan.")
    given = parser.parse_args()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    print(f"SEED={seed}", flush=True)
    logging.getLogger("polecat_kube").setLevel(logging.ERROR)  # that the API server is away is wanted
    directory = Path(tempfile.mkdtemp(prefix="polecat-soak-"))
    figures = asyncio.run(soak(seed, given.minutes * 60, directory))
    print_figures(figures)
    if not figures.clean:
        print(f"what is left of it: {directory}")
        sys.exit(1)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
