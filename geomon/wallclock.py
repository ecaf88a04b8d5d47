"""The one place that asks what time it is.

Everything else is told, so that a replay of last year's recording does what was done last year.
"""

from __future__ import annotations

import time

__all__ = ["now_s"]


def now_s() -> float:
    """Give the time of day in POSIX seconds."""
    return time.time()
