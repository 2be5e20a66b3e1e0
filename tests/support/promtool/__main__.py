"""`python -m support.promtool` sees to it that there is a promtool, and says where."""

import asyncio
import os
import sys

from polecat_local.errors import LocalError
from polecat_local.progress import Progress
from support.promtool import provide_promtool

try:
    print(asyncio.run(provide_promtool(dict(os.environ), Progress())))
except LocalError as error:
    sys.exit(str(error))
