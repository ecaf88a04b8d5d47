"""Programs that hold a server of their own, and the ends of processes that are not our children."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["ends", "hosting"]

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def hosting(program: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a process group of its own, as a terminal would; it is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        yield process
        process.kill()


def ends(pid: int, timeout_s: float = 20.0) -> bool:
    """Wait for the end of a process that is not our child."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watch], [], [], timeout_s)[0])
    finally:
        os.close(watch)
