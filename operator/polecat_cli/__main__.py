"""`python -m polecat_cli` is `polecat`."""

from polecat_cli.main import main

if __name__ == "__main__":
    main(prog_name="polecat")
