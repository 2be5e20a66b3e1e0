"""`python -m polecat_dashboard`."""

import sys

from polecat_dashboard.main import main

sys.exit(main())
