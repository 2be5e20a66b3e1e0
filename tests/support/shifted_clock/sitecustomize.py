"""Python loads this at its start where its directory is in PYTHONPATH: the wall clock then shows so many seconds more
as the file named by SHIFTED_CLOCK says, at each moment anew. The steady clock stays as it is.
"""

import datetime
import os
import time
from pathlib import Path
from typing import Any

_FILE = Path(os.environ["SHIFTED_CLOCK"])
_real_time = time.time
_RealDatetime = datetime.datetime


def _offset_seconds() -> float:
    try:
        return float(_FILE.read_text())
    except (OSError, ValueError):
        return 0.0


class _AnyDatetime(type):
    """What the C library makes is of the real class, and must pass for one of ours."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _RealDatetime)


class _Shifted(_RealDatetime, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _RealDatetime.now(tz) + datetime.timedelta(seconds=_offset_seconds())


time.time = lambda: _real_time() + _offset_seconds()
datetime.datetime = _Shifted  # type: ignore[misc]
