"""A service's process: what is left of one that crashed where no exception can tell."""

from __future__ import annotations

import signal
import subprocess
import sys

CRASHING = """
import os, signal
from geomon.cli.service import Service

async def serve():
    os.kill(os.getpid(), signal.SIGSEGV)

Service("geomon.test").run(serve)
"""


def test_a_crash_in_native_code_leaves_where_each_thread_was() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASHING], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert "line 6 in serve" in done.stderr
