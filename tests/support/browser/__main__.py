"""Gets the browser and what else browser tests need ahead of time, and says where they are."""

import asyncio
import sys

from polecat_local.cache import Cache
from polecat_local.errors import LocalError
from polecat_local.progress import Progress
from support.browser.chain import provide_browser
from support.browser.packages import axe_script


async def _prepare() -> None:
    cache, progress = Cache(), Progress()
    browser = await provide_browser(cache, progress)
    print(f"browser: {browser.source}")
    print(f"axe-core: {await axe_script(cache, progress)}")


try:
    asyncio.run(_prepare())
except LocalError as error:
    sys.exit(f"error: {error}")
