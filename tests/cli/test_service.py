"""A service's process: what it says when it starts, and when it crashes in native code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

PREFIX = "GEOMON_"  # apart, for what is no variable is in no reference
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


def test_the_log_begins_with_variables_that_are_no_settings() -> None:
    program = 'from geomon.cli.service import Service; Service("geomon.test").log_as("text")'
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, f"{PREFIX}CLOK": "recording"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "warning geomon.test: " in done.stderr
    assert "CLOK in the environment is no setting" in done.stderr
    assert "GEOMON_CLOCK is one" in done.stderr
