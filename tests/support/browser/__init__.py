"""A Chromium for the tests, had without root, Docker or a distribution's packages, and what looks at pages with it.

The first that works of: one on PATH → npm's `@sparticuz/chromium`, unpacked into the user's cache → Playwright's
own download. `POLECAT_TEST_BROWSER` (`found`, `package` or `download`) asks one of them alone. Ahead of time:
`python -m support.browser`.
"""

from support.browser.chain import NoBrowserError, provide_browser
from support.browser.program import BrowserProgram

__all__ = ["BrowserProgram", "NoBrowserError", "provide_browser"]
