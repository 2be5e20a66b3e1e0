"""`python -m polecat_operator`."""

import sys

from polecat_operator.main import main

if __name__ == "__main__":
    sys.exit(main())
